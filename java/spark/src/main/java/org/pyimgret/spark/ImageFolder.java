package org.pyimgret.spark;

import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.pyimgret.encoder.ImageDecodeException;

/** A folder of images: the keys of the files below it (see {@link Keys}), and their contents. */
interface ImageFolder extends Serializable {

    /** The largest file that can be an image. */
    long MAX_FILE = 1L << 30;

    /** What systems leave in folders, in lower case; as in Python's {@code pyimgret.files.walking}. */
    Set<String> SYSTEM_NAMES =
            Set.of("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information");

    /** Opens a folder by the file system that it is in. */
    static ImageFolder of(String path, Configuration hadoop) throws IOException {
        Path folder = new Path(path);
        FileSystem files = folder.getFileSystem(hadoop);
        Path qualified = files.makeQualified(folder);
        return files.getUri().getScheme().equals("file")
                ? new LocalFolder(qualified.toUri().getPath())
                : new HadoopFolder(qualified.toString());
    }

    /**
     * Lists the files below the folder, in any order.
     *
     * @param hidden whether to include hidden and system files
     * @param keys receives the keys of the files
     * @return the number of hidden files and folders that were skipped
     */
    int list(Configuration hadoop, boolean hidden, List<String> keys) throws IOException;

    /** Whether a file or folder of this name is hidden, or left behind by a system. */
    static boolean isHidden(String name) {
        return name.startsWith(".") || SYSTEM_NAMES.contains(name.toLowerCase(Locale.ROOT));
    }

    /**
     * Reads a file.
     *
     * @throws ImageDecodeException if it cannot be an image
     * @throws java.io.FileNotFoundException if it does not exist, or permission is denied
     * @throws IOException if the file system fails
     */
    byte[] read(Configuration hadoop, String key) throws IOException;

    /** Refuses files that would fill the memory. */
    static void checkLength(long length) throws ImageDecodeException {
        if (length > MAX_FILE) {
            throw new ImageDecodeException("is " + length + " bytes long; at most " + MAX_FILE + ".");
        }
    }
}
