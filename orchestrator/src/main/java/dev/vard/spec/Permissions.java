package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import dev.vard.spec.ValueType.Text;
import dev.vard.text.ShellCommand;

/** What stands in a specification, but is not to be had from a server. */
final class Permissions {
  static final Key<String> WORKER = Keys.at("worker", Text.class);

  /** What the names of environment variables begin with that a server's clients may name. */
  private static final String TOKENS = "VARD_REWARD_";

  private final Surroundings around;
  private final Given given;

  Permissions(Surroundings around, Given given) {
    this.around = around;
    this.given = given;
  }

  /** What stands in a specification, but is not to be had from a server. */
  void confine(Confinement allowed, int prompts) {
    if (given.has(NamedFiles.PROMPTS_FILE)) {
      given.forbid(
          NamedFiles.PROMPTS_FILE,
          "the server reads no files of its clients; give the prompts themselves in"
              + " prompts.list");
    }
    if (prompts > allowed.maxPrompts()) {
      given.add(
          Code.OUT_OF_RANGE,
          given.origin(NamedFiles.PROMPTS_LIST),
          NamedFiles.PROMPTS_LIST.path(),
          "has " + prompts + " prompts; give at most " + allowed.maxPrompts());
    }
  }

  /** What whoever sends a specification must not decide, and is told before it is sent. */
  void leaveToServer() {
    if (given.find(WORKER).filter(worker -> !worker.equals(RunSpec.DEFAULT_WORKER)).isPresent()) {
      given.forbid(WORKER, "the server decides which worker runs what; remove it");
    }
  }

  /** What of rewards is not to be had from a server. */
  void permit(RewardSource source) {
    if (!around.toSend() && around.confinement().isEmpty()) {
      return;
    }
    if (source instanceof RewardSource.Supplied) {
      given.forbid(
          RewardReading.KIND,
          "supplied needs a Java program that brings the reward; give another kind");
    }
    if (around.confinement().isEmpty()) {
      return;
    }
    for (String address : Confinement.addresses(source)) {
      if (!around.confinement().get().rewards().contains(address)
          && given.problems().size() < Given.MOST_PROBLEMS) {
        given.forbid(
            RewardReading.KIND,
            "the server takes no reward from "
                + address
                + "; give one that its operator allowed, or ask for this one"
                + " (vard serve --allow-reward "
                + ShellCommand.word(address)
                + ")");
      }
    }
    if (given.has(RewardReading.CA)) {
      given.forbid(
          RewardReading.CA,
          "the server opens no such file for its clients; remove it, and ask its"
              + " operator to trust the reward's certificate");
    }
    if (given.find(RewardReading.TOKEN).filter(name -> !name.startsWith(TOKENS)).isPresent()) {
      given.forbid(
          RewardReading.TOKEN,
          "the server gives no such variable to rewards; give one that begins with " + TOKENS);
    }
  }
}
