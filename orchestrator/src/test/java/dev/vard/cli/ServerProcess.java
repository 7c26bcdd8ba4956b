package dev.vard.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A {@code vard serve} in a process of its own, that serves. */
final class ServerProcess implements AutoCloseable {
  private final Process process;
  private final ManagedChannel channel;
  private final int http;

  /**
   * @param folder for its runs, its models and its log
   * @param settings {@code VARD_SERVE_*}, as environment variables
   */
  ServerProcess(Path folder, Map<String, String> settings, String... options)
      throws IOException, InterruptedException {
    Files.createDirectories(folder.resolve("models/tiny"));
    Path readyFile = folder.resolve("ready.json");
    Path log = folder.resolve("server.log");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.vard.cli.Main",
                "serve",
                "--grpc-port=0",
                "--http-port=0",
                "--worker=127.0.0.1:1",
                "--model-root=" + folder.resolve("models"),
                "--runs=" + folder.resolve("runs"),
                "--ready-file=" + readyFile));
    command.addAll(List.of(options));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().putAll(settings);
    process = builder.start();
    while (!Files.exists(readyFile)) {
      if (process.waitFor(20, TimeUnit.MILLISECONDS)) {
        throw new AssertionError("it ended: " + Files.readString(log));
      }
    }
    JsonNode ready = new ObjectMapper().readTree(readyFile.toFile());
    http = ready.required("http_port").intValue();
    channel =
        Grpc.newChannelBuilder(
                "127.0.0.1:" + ready.required("grpc_port").intValue(),
                InsecureChannelCredentials.create())
            .build();
  }

  ManagedChannel channel() {
    return channel;
  }

  int grpcPort() {
    return Integer.parseInt(channel.authority().substring("127.0.0.1:".length()));
  }

  int httpPort() {
    return http;
  }

  URI http(String path) {
    return URI.create("http://127.0.0.1:" + http + path);
  }

  @Override
  public void close() throws InterruptedException {
    channel.shutdownNow();
    process.destroyForcibly().waitFor();
  }
}
