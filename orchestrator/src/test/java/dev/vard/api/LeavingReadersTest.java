package dev.vard.api;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/** Readers that leave in the midst of an answer are no event worth a line in the log. */
@Timeout(120)
class LeavingReadersTest {
  private static final int READERS = 8;
  private static final int DOWNLOADS = 60;

  private final ListAppender<ILoggingEvent> logged = new ListAppender<>();
  private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
  private final InMemoryRuns runs = new InMemoryRuns();
  private LiveApi api;
  private String path;

  @BeforeEach
  void start() {
    api = LiveApi.start(runs, Map.of("max-streams", 1_000, "max-streams-per-owner", 1_000));
    String run = RestRoad.to(api).create("name: fox", List.of(), 0, "").name();
    runs.file(run.substring("runs/".length()), "large", new byte[8 << 20]);
    path = "/v1/" + run + "/artifacts/large";
    logged.start();
    root.addAppender(logged);
  }

  @AfterEach
  void end() {
    root.detachAppender(logged);
    api.close();
  }

  @Test
  void shouldLeaveNoTraceInTheLog() throws Exception {
    try (ExecutorService executor = Executors.newFixedThreadPool(READERS)) {
      List<Future<?>> readers =
          IntStream.range(0, READERS)
              .<Future<?>>mapToObj(reader -> executor.submit(this::readAndLeave))
              .toList();
      for (Future<?> reader : readers) {
        reader.get();
      }
    }
    LiveApi.eventually(() -> api.streams().open() == 0);

    assertThat(logged.list)
        .filteredOn(event -> event.getLevel().isGreaterOrEqual(Level.WARN))
        .extracting(
            event ->
                event.getFormattedMessage()
                    + (event.getThrowableProxy() == null
                        ? ""
                        : ": " + event.getThrowableProxy().getMessage()))
        .isEmpty();
  }

  private Void readAndLeave() throws IOException {
    for (int i = 0; i < DOWNLOADS; i++) {
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), api.http("/").getPort())) {
        // No farewell: the other side gets a reset.
        socket.setSoLinger(true, 0);
        socket
            .getOutputStream()
            .write(
                ("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    .getBytes(StandardCharsets.US_ASCII));
        byte[] part = new byte[1 << 16];
        int many = ThreadLocalRandom.current().nextInt(1, 40);
        for (int k = 0; k < many && socket.getInputStream().read(part) >= 0; k++) {}
      }
    }
    return null;
  }
}
