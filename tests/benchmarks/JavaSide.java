import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.pyimgret.encoder.ImageEncoder;
import org.pyimgret.index.CosineIndex;
import org.pyimgret.index.Match;

/** The Java half of java_side.py: prints one JSON object. */
final class JavaSide {

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "search":
                search(Path.of(arguments[1]), Path.of(arguments[2]), Integer.parseInt(arguments[3]));
                break;
            case "gemv":
                gemv(Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
                break;
            case "encode":
                encode(Path.of(arguments[1]), Path.of(arguments[2]), Integer.parseInt(arguments[3]));
                break;
            case "embed":
                embed(Path.of(arguments[1]), Path.of(arguments[2]), Path.of(arguments[3]));
                break;
            default:
                soak(Path.of(arguments[1]), Path.of(arguments[2]), Integer.parseInt(arguments[3]));
        }
    }

    private static void search(Path directory, Path queryFile, int k) throws IOException {
        float[] all = floats(queryFile);
        try (CosineIndex index = CosineIndex.open(directory)) {
            int d = index.dimension();
            List<Double> seconds = new ArrayList<>();
            String keys = "";
            for (int run = 0; run < 8; run++) {
                keys = "";
                long start = System.nanoTime();
                for (int at = 0; at < all.length; at += d) {
                    keys += index.search(Arrays.copyOfRange(all, at, at + d), k).stream()
                            .map(match -> "\"" + match.key() + "\"")
                            .collect(Collectors.joining(",", "[", "],"));
                }
                seconds.add((System.nanoTime() - start) * 1e-9 / (all.length / d));
            }
            System.out.println("{\"seconds\": " + seconds.subList(3, 8) + ", \"keys\": ["
                    + keys.substring(0, keys.length() - 1) + "]}");
        }
    }

    /** What ND4J's matrix by vector alone would take. */
    private static void gemv(int rows, int columns) {
        INDArray matrix = Nd4j.rand(rows, columns);
        INDArray query = Nd4j.rand(columns, 1);
        List<Double> seconds = new ArrayList<>();
        for (int run = 0; run < 8; run++) {
            long start = System.nanoTime();
            for (int i = 0; i < 20; i++) {
                matrix.mmul(query).close();
            }
            seconds.add((System.nanoTime() - start) * 1e-9 / 20);
        }
        System.out.println("{\"seconds\": " + seconds.subList(3, 8) + "}");
    }

    private static void encode(Path model, Path list, int runs) throws IOException {
        List<Path> pictures = Files.readAllLines(list).stream().map(Path::of).collect(Collectors.toList());
        try (ImageEncoder encoder = ImageEncoder.load(model)) {
            List<Double> seconds = new ArrayList<>();
            for (int run = 0; run < runs + 1; run++) {
                long start = System.nanoTime();
                encoder.encodeAll(pictures);
                seconds.add((System.nanoTime() - start) * 1e-9);
            }
            System.out.println("{\"seconds\": " + seconds.subList(1, runs + 1)
                    + ", \"onednn\": \"" + encoder.oneDnn() + "\"}");
        }
    }

    /** Writes the embeddings of all pictures as float32. */
    private static void embed(Path model, Path list, Path out) throws IOException {
        List<Path> pictures = Files.readAllLines(list).stream().map(Path::of).collect(Collectors.toList());
        try (ImageEncoder encoder = ImageEncoder.load(model)) {
            ByteBuffer bytes = ByteBuffer.allocate(4 * pictures.size() * encoder.dimension());
            bytes.order(ByteOrder.LITTLE_ENDIAN);
            for (float[] embedding : encoder.encodeAll(pictures)) {
                for (float number : embedding) {
                    bytes.putFloat(number);
                }
            }
            Files.write(out, bytes.array());
        }
        System.out.println("{}");
    }

    /** Eight threads encode and search; every answer is compared with that of one thread. */
    private static void soak(Path directory, Path list, int rounds) throws Exception {
        List<Path> pictures = Files.readAllLines(list).stream().map(Path::of).collect(Collectors.toList());
        List<Long> memory = new ArrayList<>();
        List<String> wrong = new ArrayList<>();
        long before = resident();
        try (ImageEncoder encoder = ImageEncoder.load(directory.resolve("model.zip"));
                CosineIndex index = CosineIndex.open(directory)) {
            List<List<Match>> expected = new ArrayList<>();
            for (float[] embedding : encoder.encodeAll(pictures)) {
                expected.add(index.search(embedding, 5));
            }
            for (int round = 0; round < rounds; round++) {
                List<Thread> threads = new ArrayList<>();
                for (int t = 0; t < 8; t++) {
                    int first = t;
                    threads.add(new Thread(() -> {
                        for (int i = 0; i < 125; i++) {
                            int row = (first * 125 + i) % pictures.size();
                            check(encoder, index, pictures.get(row), expected.get(row), wrong);
                        }
                    }));
                    threads.get(t).start();
                }
                for (Thread thread : threads) {
                    thread.join();
                }
                memory.add(resident());
            }
        }
        long end = 0;
        for (int i = 0; i < 5; i++) {
            System.gc();
            Thread.sleep(200);
            end = resident();
        }
        System.out.println("{\"wrong\": " + wrong.size() + ", \"before_mb\": " + before
                + ", \"after_each_1000_mb\": " + memory + ", \"after_close_mb\": " + end + "}");
    }

    private static void check(
            ImageEncoder encoder, CosineIndex index, Path picture, List<Match> expected, List<String> wrong) {
        try {
            List<Match> found = index.search(encoder.encode(picture), expected.size());
            for (int i = 0; i < expected.size(); i++) {
                if (Math.abs(found.get(i).score() - expected.get(i).score()) > 1e-5) {
                    throw new IllegalStateException(found + " instead of " + expected);
                }
            }
        } catch (IOException | RuntimeException e) {
            synchronized (wrong) {
                wrong.add(picture + ": " + e);
            }
        }
    }

    private static long resident() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
            }
        }
        return -1;
    }

    private static float[] floats(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        float[] numbers = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(numbers);
        return numbers;
    }
}
