package org.pyimgret.spark;

import org.apache.hadoop.conf.Configuration;
import org.pyimgret.encoder.ImageDecodeException;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Pictures in this machine's own file system, links followed and each folder entered once.
 *
 * <p>NB: not by way of Hadoop, whose local file system leaves out, without a word, every name that
 * the locale cannot decode (all but ASCII where LANG is not set), and fails at colons. A URI holds
 * a name's bytes.
 */
final class LocalFolder implements PictureFolder {

    private static final long serialVersionUID = 1L;

    private final String root;

    LocalFolder(String path) {
        this.root = "file://" + Keys.toUri(Keys.ofText(path.replaceAll("/+$", ""))) + "/";
    }

    @Override
    public List<String> keys(Configuration hadoop) throws IOException {
        List<String> keys = new ArrayList<>();
        int skipped = URI.create(root).getRawPath().length();
        for (Path file : new Walk().below(Path.of(URI.create(root)))) {
            keys.add(Keys.ofUri(file.toUri().getRawPath().substring(skipped)));
        }
        return keys;
    }

    @Override
    public byte[] read(Configuration hadoop, String key) throws IOException {
        Path file = Path.of(URI.create(root + Keys.toUri(key)));
        try {
            BasicFileAttributes attributes = attributes(file);
            if (!attributes.isRegularFile()) {
                throw new ImageDecodeException("is no regular file.");
            }
            PictureFolder.checkLength(attributes.size());
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new FileNotFoundException("is not there any more.");
        } catch (AccessDeniedException e) {
            throw new FileNotFoundException("may not be read: permission denied.");
        }
    }

    private static BasicFileAttributes attributes(Path file) throws IOException {
        try {
            return Files.readAttributes(file, BasicFileAttributes.class);
        } catch (FileSystemException e) {
            if (Files.isSymbolicLink(file)) {
                throw new ImageDecodeException("is a link that leads nowhere.", e);
            }
            throw e;
        }
    }

    /** Linked folders come after all real ones, so that no link takes a folder's files away. */
    private static final class Walk {

        private final Set<Path> entered = new HashSet<>();
        private final Deque<Path> folders = new ArrayDeque<>();
        private final Deque<Path> links = new ArrayDeque<>();
        private final List<Path> found = new ArrayList<>();

        List<Path> below(Path root) throws IOException {
            folders.add(root);
            while (!folders.isEmpty() || !links.isEmpty()) {
                Path folder = folders.isEmpty() ? links.remove() : folders.remove();
                if (entered.add(folder.toRealPath())) {
                    entries(folder).forEach(this::look);
                }
            }
            return found;
        }

        private void look(Path path) {
            if (path.getFileName().toString().startsWith(".")) {
                return;
            }
            if (Files.isDirectory(path)) {
                (Files.isSymbolicLink(path) ? links : folders).add(path);
            } else {
                found.add(path);
            }
        }

        /** Sorted: which of two links to a folder names its files must not change by chance. */
        private static List<Path> entries(Path folder) throws IOException {
            List<Path> entries = new ArrayList<>();
            try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
                all.forEach(entries::add);
            } catch (DirectoryIteratorException e) {
                throw e.getCause();
            }
            entries.sort(null);
            return entries;
        }
    }
}
