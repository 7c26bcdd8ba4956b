package dev.vard.api;

import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;

/**
 * The connections of one port: so many and no more. Where all places are taken, the connection that
 * has been out of use longest makes room, so that whoever only holds connections open locks nobody
 * out; where all are in use, the new one is refused. Thread-safe.
 */
final class Connections {
  private final int max;

  /** Those out of use, the longest first. */
  private final Set<Connection> idle = new LinkedHashSet<>();

  private int open;

  Connections(int max) {
    this.max = max;
  }

  /**
   * A new connection, out of use.
   *
   * @param close ends it, from any thread
   * @return empty where it has to be refused
   */
  Optional<Connection> open(Runnable close) {
    Connection made = new Connection(close);
    Optional<Connection> victim = Optional.empty();
    synchronized (idle) {
      if (open >= max) {
        Iterator<Connection> longest = idle.iterator();
        if (!longest.hasNext()) {
          return Optional.empty();
        }
        victim = Optional.of(longest.next());
        victim.get().leave();
      }
      open++;
      idle.add(made);
    }
    victim.ifPresent(connection -> connection.close.run());
    return Optional.of(made);
  }

  /** How many are open. */
  int open() {
    synchronized (idle) {
      return open;
    }
  }

  /** One of them. */
  final class Connection {
    private final Runnable close;
    private int uses;
    private boolean left;

    private Connection(Runnable close) {
      this.close = close;
    }

    /** Works on a request that has arrived and may be answered, until {@link #release}. */
    void use() {
      synchronized (idle) {
        if (uses++ == 0) {
          idle.remove(this);
        }
      }
    }

    void release() {
      synchronized (idle) {
        if (--uses == 0 && !left) {
          idle.add(this);
        }
      }
    }

    /** It is closed. */
    void leave() {
      synchronized (idle) {
        if (!left) {
          left = true;
          idle.remove(this);
          open--;
        }
      }
    }
  }
}
