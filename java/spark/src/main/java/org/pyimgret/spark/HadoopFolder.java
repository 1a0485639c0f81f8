package org.pyimgret.spark;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Pictures in a file system that Hadoop reaches: names are text there, and nothing is linked. */
final class HadoopFolder implements PictureFolder {

    private static final long serialVersionUID = 1L;

    private final String root;

    HadoopFolder(String root) {
        this.root = root.replaceAll("/+$", "");
    }

    @Override
    public List<String> keys(Configuration hadoop) throws IOException {
        Path folder = new Path(root + "/");
        RemoteIterator<LocatedFileStatus> all =
                folder.getFileSystem(hadoop).listFiles(folder, true);
        List<String> keys = new ArrayList<>();
        while (all.hasNext()) {
            String name = all.next().getPath().toString().substring(root.length() + 1);
            if (!name.startsWith(".") && !name.contains("/.")) {
                keys.add(Keys.ofText(name));
            }
        }
        return keys;
    }

    @Override
    public byte[] read(Configuration hadoop, String key) throws IOException {
        Path file = new Path(root + "/" + Keys.toText(key));
        FileSystem files = file.getFileSystem(hadoop);
        long length = files.getFileStatus(file).getLen();
        PictureFolder.checkLength(length);
        try (FSDataInputStream in = files.open(file)) {
            byte[] bytes = new byte[(int) length];
            in.readFully(0, bytes);
            return bytes;
        }
    }
}
