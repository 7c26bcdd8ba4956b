package dev.vard.store;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Stands between a program and its PostgreSQL. It can lose the answer to the next COMMIT: the
 * server has done it, and the connection is cut before the program hears of it. It knows a COMMIT
 * by its word: with {@code prepareThreshold=0}.
 */
final class CuttingProxy implements AutoCloseable {
  private final ServerSocket server;
  private final int target;
  private final AtomicBoolean armed = new AtomicBoolean();
  private final AtomicInteger cuts = new AtomicInteger();

  CuttingProxy(int target) throws IOException {
    this.target = target;
    this.server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  /** The next COMMIT's answer is lost. */
  void arm() {
    armed.set(true);
  }

  int cuts() {
    return cuts.get();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket client = server.accept();
        Socket backend = new Socket(InetAddress.getLoopbackAddress(), target);
        AtomicBoolean cut = new AtomicBoolean();
        Thread.ofVirtual().start(() -> requests(client, backend, cut));
        Thread.ofVirtual().start(() -> answers(backend, client, cut));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void requests(Socket client, Socket backend, AtomicBoolean cut) {
    pump(
        client,
        backend,
        (bytes, length, out) -> {
          boolean commit =
              new String(bytes, 0, length, StandardCharsets.ISO_8859_1).contains("COMMIT");
          if (commit && armed.compareAndSet(true, false)) {
            cut.set(true);
          }
          out.write(bytes, 0, length);
        });
  }

  private void answers(Socket backend, Socket client, AtomicBoolean cut) {
    pump(
        backend,
        client,
        (bytes, length, out) -> {
          if (cut.get()) {
            cuts.incrementAndGet();
            throw new IOException("cut");
          }
          out.write(bytes, 0, length);
        });
  }

  private interface Part {
    void pass(byte[] bytes, int length, OutputStream out) throws IOException;
  }

  private static void pump(Socket from, Socket to, Part part) {
    try (from;
        to) {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      byte[] bytes = new byte[1 << 16];
      int length;
      while ((length = in.read(bytes)) >= 0) {
        part.pass(bytes, length, out);
        out.flush();
      }
    } catch (IOException e) {
      // Both ends are closed, which is what there is to do.
    }
  }

  @Override
  public void close() {
    try {
      server.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
