package dev.vard.run;

/**
 * Hears what happens in a run. Called by one thread at a time, in order; a slow listener slows the
 * run.
 */
@FunctionalInterface
public interface RunListener {
  void onEvent(RunEvent event);
}
