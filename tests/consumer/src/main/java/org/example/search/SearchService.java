package org.example.search;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import org.pyimgret.encoder.ImageDecodeException;
import org.pyimgret.encoder.ImageEncoder;
import org.pyimgret.index.CosineIndex;
import org.pyimgret.index.Match;

/**
 * Answers {@code POST /search?k=5}, an image file as the body, with the nearest images of an index
 * that Python wrote; and {@code POST /reload}.
 */
public final class SearchService implements AutoCloseable {

    private static final int MAX_BODY = 20 << 20;

    private final ImageEncoder encoder;
    private final CosineIndex index;
    private final ExecutorService threads = Executors.newFixedThreadPool(8);
    private final HttpServer server;

    private SearchService(Path directory, int port) throws IOException {
        encoder = ImageEncoder.load(directory.resolve("model.zip"));
        index = CosineIndex.open(directory);
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(threads);
        server.createContext("/search", exchange -> answer(exchange, this::search));
        server.createContext("/reload", exchange -> answer(exchange, this::reload));
        server.start();
    }

    private String search(HttpExchange exchange) throws IOException {
        byte[] image = exchange.getRequestBody().readNBytes(MAX_BODY);
        List<Match> matches = index.search(encoder.encode(image), k(exchange));
        return matches.stream()
                .map(match -> "{\"key\": " + quote(match.key()) + ", \"score\": " + match.score() + "}")
                .collect(Collectors.joining(", ", "{\"matches\": [", "]}"));
    }

    private String reload(HttpExchange exchange) throws IOException {
        return "{\"changed\": " + index.reload() + ", \"size\": " + index.size() + "}";
    }

    private static int k(HttpExchange exchange) {
        String query = exchange.getRequestURI().getQuery();
        return query != null && query.startsWith("k=") ? Integer.parseInt(query.substring(2)) : 5;
    }

    private static void answer(HttpExchange exchange, Action action) throws IOException {
        int status = 200;
        String text;
        try {
            text = action.run(exchange);
        } catch (ImageDecodeException e) {
            status = 422;
            text = "{\"detail\": " + quote(e.getMessage()) + "}";
        } catch (IllegalArgumentException e) {
            status = 400;
            text = "{\"detail\": " + quote(e.getMessage()) + "}";
        }
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char letter : text.toCharArray()) {
            boolean plain = letter >= ' ' && letter != '"' && letter != '\\';
            quoted.append(plain ? String.valueOf(letter) : String.format("\\u%04x", (int) letter));
        }
        return quoted.append('"').toString();
    }

    @Override
    public void close() {
        server.stop(1);
        threads.shutdown();
        index.close();
        encoder.close();
    }

    /** What answers a request. */
    private interface Action {
        String run(HttpExchange exchange) throws IOException;
    }

    /** Arguments: the index's directory, and a port (0: any). Prints the port; ends with its input. */
    public static void main(String[] arguments) throws IOException {
        try (SearchService service =
                new SearchService(Path.of(arguments[0]), Integer.parseInt(arguments[1]))) {
            System.out.println("oneDNN " + service.encoder.oneDnn());
            System.out.println("listening on " + service.server.getAddress().getPort());
            System.in.read();
        }
    }
}
