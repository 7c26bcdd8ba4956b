package dev.vard.run;

/** Writes a run's events down, all but those that only a progress bar wants. */
final class MetricsFile implements RunListener {
  private final RunFolder folder;
  private final RunJson json = new RunJson();

  MetricsFile(RunFolder folder) {
    this.folder = folder;
  }

  @Override
  public void onEvent(RunEvent event) {
    switch (event) {
      case RunEvent.PhaseStarted phase -> {}
      case RunEvent.Progress progress -> {}
      case RunEvent.Started line -> append(line);
      case RunEvent.Evaluated line -> append(line);
      case RunEvent.IterationFinished line -> append(line);
      case RunEvent.Finished line -> append(line);
      case RunEvent.StateChanged line -> append(line);
      case RunEvent.Checkpointed line -> append(line);
      case RunEvent.Recovered line -> append(line);
      case RunEvent.Warned line -> append(line);
    }
  }

  private void append(RunEvent event) {
    folder.appendMetrics(json.write(event));
  }
}
