package dev.vard.testing;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A way to a server on this machine that can be cut, as a network can. Its port stays its own while
 * the server behind it is away, so that nothing else can take it meanwhile.
 */
public final class CuttableProxy implements AutoCloseable {
  private volatile int target;
  private final ServerSocket door;
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();
  private volatile boolean cut;

  public CuttableProxy(int target) throws IOException {
    this.target = target;
    this.door = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  public int port() {
    return door.getLocalPort();
  }

  /** Breaks what is open, and lets in nobody. */
  public void cut() {
    cut = true;
    open.forEach(CuttableProxy::close);
  }

  public void mend() {
    cut = false;
  }

  /** Lets clients in again, to the server's new port. */
  public void mend(int target) {
    this.target = target;
    mend();
  }

  @Override
  public void close() {
    close(door);
    cut();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = door.accept();
        if (cut) {
          close(client);
          continue;
        }
        join(client);
      }
    } catch (IOException e) {
      // The door is closed.
    }
  }

  private void join(Socket client) {
    try {
      Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
      open.add(client);
      open.add(server);
      Thread.ofVirtual().start(() -> pump(client, server));
      Thread.ofVirtual().start(() -> pump(server, client));
    } catch (IOException e) {
      // The server is away.
      close(client);
    }
  }

  private void pump(Socket from, Socket to) {
    try (InputStream in = from.getInputStream()) {
      in.transferTo(to.getOutputStream());
    } catch (IOException e) {
      // Cut, or closed by either end.
    } finally {
      close(from);
      close(to);
      open.remove(from);
      open.remove(to);
    }
  }

  private static void close(Closeable socket) {
    try {
      socket.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
