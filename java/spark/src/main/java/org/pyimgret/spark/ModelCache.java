package org.pyimgret.spark;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.Map;
import org.pyimgret.encoder.TensorEncoder;

/** The model of an executor: restored once for each process, and shared by its tasks. */
final class ModelCache {

    private static final Map<String, TensorEncoder> ENCODERS = new HashMap<>();

    private ModelCache() {}

    static synchronized TensorEncoder get(byte[] zip) throws IOException {
        String name = checksum(zip);
        if (!ENCODERS.containsKey(name)) {
            Path file = Files.createTempFile("pyimgret-model", ".zip");
            try {
                ENCODERS.put(name, TensorEncoder.load(Files.write(file, zip)));
            } finally {
                Files.delete(file);
            }
        }
        return ENCODERS.get(name);
    }

    /** The SHA-256 of a zip, hexadecimal. */
    static String checksum(byte[] zip) {
        try {
            return String.format(
                    "%064x",
                    new BigInteger(1, MessageDigest.getInstance("SHA-256").digest(zip)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
