package dev.vard.api;

import java.util.Iterator;
import java.util.List;
import java.util.OptionalInt;

/** One of the APIs, as its callers see it: what both answer, in the same words. */
interface Road extends AutoCloseable {

  /** The same road, for somebody else; empty for nobody in particular. */
  Road as(String token);

  record Run(String name, String state, String owner, int priority, String specification) {}

  record Page<T>(List<T> items, String next) {}

  record Event(long sequence, String type) {}

  record Sample(String artifact, int iteration, int index, long seed, double reward) {}

  record Artifact(String name, long bytes, String contentType) {}

  /** Open until it is closed. */
  interface Watch extends Iterator<Event>, AutoCloseable {
    @Override
    void close();
  }

  Run create(String specification, List<String> overrides, int priority, String requestId);

  Run get(String id);

  Page<Run> list(int size, String token, String filter);

  Run cancel(String id);

  Run resume(String id);

  void delete(String id);

  Watch watch(String id, long after);

  Page<Sample> samples(String id, OptionalInt iteration);

  Page<Artifact> artifacts(String id, int size, String token);

  byte[] download(String name);

  /**
   * Asks for a file, and does not read it.
   *
   * @return what ends the waste
   */
  AutoCloseable downloadAndDoze(String name) throws Exception;

  @Override
  void close();

  /** What was refused. */
  final class Refused extends RuntimeException {
    private static final long serialVersionUID = 1L;
    final String code;
    final String field;

    /**
     * @param field empty where none is to blame
     */
    Refused(String code, String field, String message) {
      super(message);
      this.code = code;
      this.field = field;
    }
  }
}
