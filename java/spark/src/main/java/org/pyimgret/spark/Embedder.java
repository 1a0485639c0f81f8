package org.pyimgret.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.Map;
import org.pyimgret.encoder.TensorEncoder;

/** The model of an executor: restored once for each process, and shared by its tasks. */
final class Embedder {

    private static final Map<String, TensorEncoder> KNOWN = new HashMap<>();

    private Embedder() {}

    static synchronized TensorEncoder of(byte[] zip) throws IOException {
        String name = checksum(zip);
        if (!KNOWN.containsKey(name)) {
            Path file = Files.createTempFile("pyimgret-model", ".zip");
            try {
                Files.write(file, zip);
                KNOWN.put(name, TensorEncoder.load(file));
            } finally {
                Files.delete(file);
            }
        }
        return KNOWN.get(name);
    }

    static String checksum(byte[] zip) {
        try {
            StringBuilder hex = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-256").digest(zip)) {
                hex.append(String.format("%02x", b));
            }
            return hex.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
