package org.pyimgret.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.pyimgret.encoder.ImageDecodeException;

class ImageFolderTest {

    private final Configuration hadoop = new Configuration();

    @TempDir
    Path folder;

    private Path root;

    @BeforeEach
    void makeRoot() throws IOException {
        root = Files.createDirectories(folder.resolve("100% root"));
    }

    private void file(String name) throws IOException {
        Path file = root.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, name);
    }

    private void link(String name, String target) throws IOException {
        Path link = root.resolve(name);
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, Path.of(target));
    }

    private ImageFolder local() throws IOException {
        return assertInstanceOf(LocalFolder.class, ImageFolder.of("file:" + root, hadoop));
    }

    private List<String> keys(ImageFolder images) throws IOException {
        List<String> keys = new ArrayList<>();
        images.list(hadoop, false, keys);
        Collections.sort(keys);
        return keys;
    }

    @Test
    void localAndHadoopFoldersGiveTheSameKeysAndBytes() throws IOException {
        file("a/1 #?+.png");
        file("2%25.png");
        file(".3.png");
        file("a/.b/4.png");
        ImageFolder remote = new HadoopFolder("file:" + root);
        assertEquals(List.of("2%2525.png", "a/1 #?+.png"), keys(local()));
        assertEquals(keys(local()), keys(remote));
        for (String key : keys(remote)) {
            byte[] name = Keys.toText(key).getBytes(StandardCharsets.UTF_8);
            assertArrayEquals(name, local().read(hadoop, key));
            assertArrayEquals(name, remote.read(hadoop, key));
        }
    }

    @Test
    void hiddenAndSystemFilesAreCountedAndIncludedOnRequest() throws IOException {
        List<String> names = List.of(
                ".git/a/1.png",
                ".git/b/2.png",
                ".x.png",
                "1.png",
                "a/Thumbs.db",
                "a/__MACOSX/._1.png",
                "a/desktop.ini",
                "a/thumbs.png");
        for (String name : names) {
            file(name);
        }
        for (ImageFolder images : List.of(local(), new HadoopFolder("file:" + root))) {
            assertEquals(List.of("1.png", "a/thumbs.png"), keys(images));
            assertEquals(5, images.list(hadoop, false, new ArrayList<>()));
            List<String> all = new ArrayList<>();
            assertEquals(0, images.list(hadoop, true, all));
            Collections.sort(all);
            assertEquals(names, all);
        }
    }

    @Test
    void colonInNameIsNotReadAsScheme() throws IOException {
        file("a:1.png");
        assertEquals(List.of("a:1.png"), keys(local()));
        assertEquals(7, local().read(hadoop, "a:1.png").length);
    }

    @Test
    void namesThatAreNotUtf8AreRead() throws IOException {
        Path strange = Path.of(URI.create(root.toUri() + "caf%E9.png"));
        Files.writeString(strange, "coffee");
        assertEquals(List.of("caf%E9.png"), keys(local()));
        byte[] read = local().read(hadoop, "caf%E9.png");
        assertEquals("coffee", new String(read, StandardCharsets.UTF_8));
    }

    @Test
    void circularLinksAreEnteredOnce() throws IOException {
        file("a/b/1.png");
        link("a/b/up", "..");
        link("a/b/root", root.toString());
        link("a/b/itself", ".");
        assertEquals(List.of("a/b/1.png"), keys(local()));
    }

    @Test
    void filesAreListedUnderTheirRealFolderBeforeItsLinks() throws IOException {
        link("a", "z");
        file("z/1.png");
        file("z/.hidden/2.png");
        link("shown", "z/.hidden");
        assertEquals(List.of("shown/2.png", "z/1.png"), keys(local()));
    }

    @Test
    void linksOutOfTheFolderAreFollowed() throws IOException {
        Files.createDirectories(folder.resolve("outside/deep"));
        Files.writeString(folder.resolve("outside/deep/1.png"), "1");
        link("far", "../outside");
        link("again", "../outside");
        file("2.png");
        link("3.png", "2.png");
        assertEquals(List.of("2.png", "3.png", "again/deep/1.png"), keys(local()));
    }

    @Test
    void linksThatLeadNowhereAreListedAndFailWithReason() throws IOException {
        link("gone.png", "nothing");
        link("itself.png", "itself.png");
        assertEquals(List.of("gone.png", "itself.png"), keys(local()));
        for (String key : keys(local())) {
            Exception error = assertThrows(ImageDecodeException.class, () -> local().read(hadoop, key));
            assertEquals("is a link that leads nowhere.", error.getMessage());
        }
    }

    @Test
    void deletedFileIsFileNotFound() throws IOException {
        ImageFolder images = local();
        assertThrows(FileNotFoundException.class, () -> images.read(hadoop, "gone.png"));
    }
}
