package org.pyimgret.index;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32;

/** Reads index.sqlite, which Python writes (pyimgret/index/storage/schema.py describes its tables). */
final class IndexDatabase {

    private static final int FORMAT = 1;
    private static final int APPLICATION_ID = 0x70796967;
    private static final String FILE = "index.sqlite";
    private static final String ROWS = "SELECT i.id, i.key, i.metadata, v.vector, v.crc FROM items i"
            + " JOIN vectors v ON v.number = i.number ORDER BY i.number";

    private final Path file;

    IndexDatabase(Path directory) {
        this.file = directory.resolve(FILE);
    }

    /** Reads everything at one moment; null when the database is still at the known snapshot's. */
    Snapshot read(Snapshot known) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new NoSuchFileException(file.toString(), null, "the directory holds no index");
        }
        try (Connection connection = DriverManager.getConnection(url());
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false); // one read transaction: one state
            checkFormat(statement);
            Snapshot snapshot = empty(statement);
            if (known != null && known.uuid.equals(snapshot.uuid) && known.revision == snapshot.revision) {
                return null;
            }
            fill(snapshot, statement);
            return snapshot;
        } catch (SQLException e) {
            throw new IndexStoreException(file + ": " + e.getMessage() + advice(), e);
        }
    }

    private String url() throws IOException {
        // NB: a published copy is in a read-only folder, where SQLite cannot create lock files.
        String options = isPublished() ? "mode=ro&immutable=1" : "mode=ro";
        return "jdbc:sqlite:" + file.toRealPath().toUri().toString().replace("file:///", "file:/") + "?" + options;
    }

    /** Whether the header is that of a published copy: its journal mode is not WAL. */
    private boolean isPublished() throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] header = in.readNBytes(20);
            return header.length == 20 && header[18] == 1 && header[19] == 1;
        }
    }

    private String advice() throws IOException {
        return isPublished()
                ? "."
                : ". A live index needs a folder that can be written to; serve read-only folders"
                        + " from a copy made by 'pyimgret index publish'.";
    }

    private void checkFormat(Statement statement) throws SQLException, IndexStoreException {
        long application = number(statement, "PRAGMA application_id");
        if (application != APPLICATION_ID) {
            throw new IndexStoreException(file + " is an SQLite database, but not a pyimgret index.");
        }
        long format = number(statement, "PRAGMA user_version");
        if (format != FORMAT) {
            throw new IndexStoreException(
                    file + " has format " + format + "; this version of pyimgret-core reads format " + FORMAT + ".");
        }
    }

    private static long number(Statement statement, String query) throws SQLException {
        try (ResultSet row = statement.executeQuery(query)) {
            return row.next() ? row.getLong(1) : 0;
        }
    }

    private Snapshot empty(Statement statement) throws SQLException, IndexStoreException {
        long revision = number(statement, "SELECT revision FROM state");
        Map<String, String> meta = new HashMap<>();
        try (ResultSet rows = statement.executeQuery("SELECT name, value FROM meta")) {
            while (rows.next()) {
                meta.put(rows.getString(1), rows.getString(2));
            }
        }
        if (!"cosine".equals(meta.get("metric"))) {
            throw new IndexStoreException(
                    file + " has the metric " + meta.get("metric") + "; this version of pyimgret-core knows cosine.");
        }
        return new Snapshot(
                meta.get("uuid"), revision, dimension(meta.get("dimension")), meta.getOrDefault("model_checksum", ""));
    }

    private int dimension(String value) throws IndexStoreException {
        try {
            return Integer.parseInt(value);
        } catch (NumberFormatException e) {
            throw new IndexStoreException(
                    file + " is damaged: the dimension is " + value + "; restore a published copy.", e);
        }
    }

    private void fill(Snapshot snapshot, Statement statement) throws SQLException, IndexStoreException {
        CRC32 crc = new CRC32();
        try (ResultSet rows = statement.executeQuery(ROWS)) {
            while (rows.next()) {
                byte[] vector = rows.getBytes(4);
                crc.reset();
                crc.update(vector);
                if (vector.length != 4 * snapshot.dimension || crc.getValue() != rows.getLong(5)) {
                    throw new IndexStoreException(file
                            + " is damaged at the key "
                            + rows.getString(2)
                            + "; restore a published copy, or run 'pyimgret index check'.");
                }
                snapshot.add(rows.getString(1), rows.getString(2), rows.getString(3), vector);
            }
        }
    }
}
