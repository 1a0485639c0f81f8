package org.pyimgret.spark;

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
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.pyimgret.encoder.ImageDecodeException;

/**
 * Images in the local file system; links are followed, and each folder is entered once.
 *
 * <p>NB: not through Hadoop, whose local file system silently leaves out every name that the locale
 * cannot decode (all but ASCII where LANG is not set), and fails at colons. A URI holds the bytes of a
 * name.
 */
final class LocalFolder implements ImageFolder {

    private static final long serialVersionUID = 1L;

    private final String root;

    LocalFolder(String path) {
        this.root = "file://" + Keys.toUri(Keys.ofText(path.replaceAll("/+$", ""))) + "/";
    }

    @Override
    public int list(Configuration hadoop, boolean hidden, List<String> keys) throws IOException {
        int prefix = URI.create(root).getRawPath().length();
        Walk walk = new Walk(hidden);
        for (Path file : walk.below(Path.of(URI.create(root)))) {
            keys.add(Keys.ofUri(file.toUri().getRawPath().substring(prefix)));
        }
        return walk.hiddenSkipped;
    }

    @Override
    public byte[] read(Configuration hadoop, String key) throws IOException {
        Path file = Path.of(URI.create(root + Keys.toUri(key)));
        try {
            BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
            if (!attributes.isRegularFile()) {
                throw new ImageDecodeException("is not a regular file.");
            }
            ImageFolder.checkLength(attributes.size());
            return Files.readAllBytes(file);
        } catch (FileSystemException e) {
            if (Files.isSymbolicLink(file) && !Files.exists(file)) {
                throw new ImageDecodeException("is a link that leads nowhere.", e);
            } else if (e instanceof NoSuchFileException) {
                throw new FileNotFoundException("does not exist any more.");
            } else if (e instanceof AccessDeniedException) {
                throw new FileNotFoundException("cannot be read: permission denied.");
            }
            throw e;
        }
    }

    /**
     * Linked folders come after all real ones, so that no file of a folder gets its key from a link,
     * and in the order of their names, so that the keys are the same each time.
     */
    private static final class Walk {

        private final boolean hidden;
        private final Set<Path> entered = new HashSet<>();
        private final Deque<Path> folders = new ArrayDeque<>();
        private final Queue<Path> links = new PriorityQueue<>();
        private final List<Path> found = new ArrayList<>();
        private int hiddenSkipped;

        Walk(boolean hidden) {
            this.hidden = hidden;
        }

        List<Path> below(Path root) throws IOException {
            folders.add(root);
            while (!folders.isEmpty() || !links.isEmpty()) {
                Path folder = folders.isEmpty() ? links.remove() : folders.remove();
                if (entered.add(folder.toRealPath())) {
                    enter(folder);
                }
            }
            return found;
        }

        private void enter(Path folder) throws IOException {
            try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
                entries.forEach(this::visit);
            } catch (DirectoryIteratorException e) {
                throw e.getCause();
            }
        }

        private void visit(Path path) {
            if (!hidden && ImageFolder.isHidden(path.getFileName().toString())) {
                hiddenSkipped++;
            } else if (Files.isDirectory(path)) {
                (Files.isSymbolicLink(path) ? links : folders).add(path);
            } else {
                found.add(path);
            }
        }
    }
}
