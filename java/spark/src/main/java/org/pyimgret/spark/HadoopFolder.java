package org.pyimgret.spark;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

/** Images in a file system of Hadoop's: names are text there, and there are no links. */
final class HadoopFolder implements ImageFolder {

    private static final long serialVersionUID = 1L;

    private final String root;

    HadoopFolder(String root) {
        this.root = root.replaceAll("/+$", "");
    }

    @Override
    public int list(Configuration hadoop, boolean hidden, List<String> keys) throws IOException {
        Path folder = new Path(root + "/");
        RemoteIterator<LocatedFileStatus> all = folder.getFileSystem(hadoop).listFiles(folder, true);
        Set<String> skipped = new HashSet<>();
        while (all.hasNext()) {
            String name = all.next().getPath().toString().substring(root.length() + 1);
            String hiddenPart = hidden ? null : hiddenPart(name);
            if (hiddenPart == null) {
                keys.add(Keys.ofText(name));
            } else {
                skipped.add(hiddenPart);
            }
        }
        return skipped.size();
    }

    /** The path down to the first hidden file or folder in it, null where there is none. */
    private static String hiddenPart(String name) {
        for (int start = 0, end; start < name.length(); start = end + 1) {
            int slash = name.indexOf('/', start);
            end = slash < 0 ? name.length() : slash;
            if (ImageFolder.isHidden(name.substring(start, end))) {
                return name.substring(0, end);
            }
        }
        return null;
    }

    @Override
    public byte[] read(Configuration hadoop, String key) throws IOException {
        Path file = new Path(root + "/" + Keys.toText(key));
        FileSystem files = file.getFileSystem(hadoop);
        long length = files.getFileStatus(file).getLen();
        ImageFolder.checkLength(length);
        try (FSDataInputStream in = files.open(file)) {
            byte[] bytes = new byte[(int) length];
            in.readFully(0, bytes);
            return bytes;
        }
    }
}
