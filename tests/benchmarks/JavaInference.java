import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.pyimgret.encoder.TensorEncoder;

/** The Java half of inference.py: reads "NAME ROWS SECONDS" lines, prints seconds a call each. */
final class JavaInference {

    public static void main(String[] models) throws Exception {
        Map<String, TensorEncoder> encoders = new HashMap<>();
        for (String model : models) {
            String[] parts = model.split("=", 2);
            encoders.put(parts[0], TensorEncoder.load(Path.of(parts[1])));
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            TensorEncoder encoder = encoders.get(words[0]);
            List<float[]> rows = rows(encoder.inputSize(), Integer.parseInt(words[1]));
            double end = System.nanoTime() + Double.parseDouble(words[2]) * 1e9;
            StringBuilder times = new StringBuilder();
            while (System.nanoTime() < end) {
                long start = System.nanoTime();
                encoder.encode(rows);
                times.append((System.nanoTime() - start) * 1e-9).append(' ');
            }
            System.out.println(times);
        }
    }

    private static List<float[]> rows(int size, int count) {
        Random random = new Random(0);
        List<float[]> rows = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            float[] row = new float[size];
            for (int j = 0; j < size; j++) {
                row[j] = random.nextFloat();
            }
            rows.add(row);
        }
        return rows;
    }
}
