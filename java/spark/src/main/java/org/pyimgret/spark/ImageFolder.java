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

/** A folder of images: the keys of the files below it (see {@link Keys}), and what they hold. */
interface ImageFolder extends Serializable {

    /** The largest file that can be an image. */
    long MAX_FILE = 1L << 30;

    /** What systems leave in folders, in lower case; as in Python's {@code pyimgret.files.walking}. */
    Set<String> SYSTEM_NAMES =
            Set.of("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information");

    /** The keys that a folder has, and how many hidden files and folders were left out. */
    final class Listing {

        final List<String> keys;
        final int hiddenSkipped;

        Listing(List<String> keys, int hiddenSkipped) {
            this.keys = keys;
            this.hiddenSkipped = hiddenSkipped;
        }
    }

    /** Finds out what kind of file system a folder is in. */
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
     * @param hidden whether to take hidden and system files, too
     */
    Listing list(Configuration hadoop, boolean hidden) throws IOException;

    /** Whether a file or folder of this name is left out. */
    static boolean isHidden(String name) {
        return name.startsWith(".") || SYSTEM_NAMES.contains(name.toLowerCase(Locale.ROOT));
    }

    /**
     * Reads a file.
     *
     * @throws ImageDecodeException if it cannot be an image
     * @throws java.io.FileNotFoundException if it is not there, or not for us to read
     * @throws IOException if the file system fails
     */
    byte[] read(Configuration hadoop, String key) throws IOException;

    /** Refuses what would fill the memory. */
    static void checkLength(long length) throws ImageDecodeException {
        if (length > MAX_FILE) {
            throw new ImageDecodeException("is " + length + " bytes long; at most " + MAX_FILE + ".");
        }
    }
}
