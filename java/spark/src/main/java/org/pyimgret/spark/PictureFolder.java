package org.pyimgret.spark;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.pyimgret.encoder.ImageDecodeException;

import java.io.IOException;
import java.io.Serializable;
import java.util.List;

/** A folder of pictures: the keys of the files below it (see {@link Keys}), and what they hold. */
interface PictureFolder extends Serializable {

    /** The largest file that can be a picture. */
    long MAX_FILE = 1L << 30;

    /** Finds out what kind of file system a folder is in. */
    static PictureFolder of(String path, Configuration hadoop) throws IOException {
        Path folder = new Path(path);
        FileSystem files = folder.getFileSystem(hadoop);
        Path qualified = files.makeQualified(folder);
        return files.getUri().getScheme().equals("file")
                ? new LocalFolder(qualified.toUri().getPath())
                : new HadoopFolder(qualified.toString());
    }

    /** The keys of all files that are not hidden, in any order. */
    List<String> keys(Configuration hadoop) throws IOException;

    /**
     * Reads a file.
     *
     * @throws ImageDecodeException if it cannot be a picture
     * @throws java.io.FileNotFoundException if it is not there, or not for us to read
     * @throws IOException if the file system fails
     */
    byte[] read(Configuration hadoop, String key) throws IOException;

    /** Refuses what would fill the memory. */
    static void checkLength(long length) throws ImageDecodeException {
        if (length > MAX_FILE) {
            throw new ImageDecodeException(
                    "is " + length + " bytes long; at most " + MAX_FILE + ".");
        }
    }
}
