package dev.vard.spec;

import dev.vard.files.TextFile;
import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.Key.Absent;
import dev.vard.spec.KlSpec.KlBudget;
import dev.vard.spec.KlSpec.KlWeight;
import dev.vard.spec.SpecProblem.Code;
import dev.vard.text.ShellCommand;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/**
 * Reads a specification strictly: what it does not understand is an error, and all errors are told
 * at once.
 *
 * <p>Files that a specification names are looked for in the working directory first, then beside
 * the specification.
 */
public final class SpecReader {
  /** The section that a reward is read from, a part of a sum too. */
  private static final String WHOLE = "reward";

  /** What the names of environment variables begin with that a server's clients may name. */
  private static final String TOKENS = "VARD_REWARD_";

  private static final Pattern ENDPOINT =
      Pattern.compile("[^\\s:/]+:\\d{1,5}|\\[[0-9a-fA-F:]+]:\\d{1,5}");
  private static final double DEFAULT_BUDGET = 60.0;
  private static final double DEFAULT_GUIDANCE = 3.0;
  private static final Pattern HUB_ID = Pattern.compile("[\\w.-]+/[\\w.-]+");

  /** All problems are told at once; a text with more than these is no specification. */
  static final int MOST_PROBLEMS = 100;

  private final Path workingDirectory;
  private final int processors;
  private final Optional<Confinement> confinement;

  /** What is read here is run elsewhere. */
  private final boolean toSend;

  /** Reads relative to this process's working directory and for its number of processors. */
  public SpecReader() {
    this(Path.of(""), Runtime.getRuntime().availableProcessors());
  }

  /**
   * @param processors what {@code threads} is where a specification does not say
   */
  public SpecReader(Path workingDirectory, int processors) {
    this(workingDirectory, processors, Optional.empty(), false);
  }

  private SpecReader(
      Path workingDirectory, int processors, Optional<Confinement> confinement, boolean toSend) {
    this.workingDirectory = workingDirectory;
    this.processors = processors;
    this.confinement = confinement;
    this.toSend = toSend;
  }

  /** Reads what others send, and refuses what goes beyond the confinement. */
  public static SpecReader confined(Confinement confinement) {
    return new SpecReader(
        Path.of(""), Runtime.getRuntime().availableProcessors(), Optional.of(confinement), false);
  }

  /**
   * Reads what is to be sent to a server. Prompts come from this machine's files; {@code
   * model.checkpoint} stays as it was written, for it names what the server has; {@code threads}
   * that are not given are {@link RunSpec#ANY_THREADS}.
   */
  public static SpecReader toSend() {
    return toSend(Path.of(""));
  }

  static SpecReader toSend(Path workingDirectory) {
    return new SpecReader(workingDirectory, RunSpec.ANY_THREADS, Optional.empty(), true);
  }

  /**
   * @param file a YAML file
   * @param overrides as {@code algorithm.iterations=4}; the value is YAML
   * @throws SpecException with all that is wrong
   */
  public RunSpec read(Path file, List<String> overrides) {
    String text;
    try {
      text = Files.readString(workingDirectory.resolve(file));
    } catch (CharacterCodingException e) {
      throw unreadable(
          file, Code.BAD_YAML, "the file is not UTF-8 text; give a specification in YAML");
    } catch (IOException e) {
      throw unreadable(
          file,
          Code.MISSING_FILE,
          Files.exists(workingDirectory.resolve(file))
              ? "the file cannot be read (" + e.getMessage() + "); give a specification in YAML"
              : "there is no such file; give the path of a specification in YAML");
    }
    Path folder = Optional.ofNullable(file.getParent()).orElse(Path.of(""));
    return read(text, file.toString(), folder, overrides);
  }

  /**
   * @param text YAML
   * @param source what errors call it
   * @param folder where the files that it names are looked for after the working directory
   * @throws SpecException with all that is wrong
   */
  public RunSpec read(String text, String source, Path folder, List<String> overrides) {
    return new Reading(new Origin(source, 1), folder, WHOLE).read(TextFile.plain(text), overrides);
  }

  private static SpecException unreadable(Path file, Code code, String message) {
    return new SpecException(
        List.of(new SpecProblem(code, new Origin(file.toString(), 0), "", message)));
  }

  /** One specification, or one part of its reward, on its way from text to records. */
  private final class Reading {
    private final Origin source;
    private final Path folder;

    /** What {@code reward} is called in errors. */
    private final String reward;

    private final List<SpecProblem> problems = new ArrayList<>();
    private final Map<Key<?>, Object> values = new HashMap<>();
    private final Map<String, Origin> given = new HashMap<>();

    Reading(Origin source, Path folder, String reward) {
      this.source = source;
      this.folder = folder;
      this.reward = reward;
    }

    RunSpec read(String text, List<String> overrides) {
      Optional<Tree> document = new TreeParser(source, problems).parse(text);
      if (!problems.isEmpty() && document.isEmpty()) {
        throw new SpecException(problems);
      }
      Tree.Mapping root =
          switch (document.orElse(new Tree.Mapping(source.at(0), Map.of()))) {
            case Tree.Mapping mapping -> mapping;
            case Tree other -> {
              add(Code.WRONG_TYPE, other.origin(), "", other.describe() + "; give keys and values");
              yield new Tree.Mapping(source.at(0), Map.of());
            }
          };
      Overrides commandLine = new Overrides(overrides, problems);
      collect(commandLine.on(root), "");
      for (Key<?> key : Keys.ALL) {
        settle(key);
      }
      List<String> prompts = prompts();
      String checkpoint = checkpoint();
      Optional<RewardSpec> rewards = rewards();
      check(prompts);
      confinement.ifPresent(allowed -> confine(allowed, prompts));
      if (toSend || confinement.isPresent()) {
        leaveToServer();
      }
      throwProblems(commandLine.sources());
      RunSpec spec = spec(prompts, checkpoint, rewards.orElseThrow());
      for (Feasibility.Finding finding : Feasibility.refusals(spec)) {
        Origin origin = given.getOrDefault(finding.path(), source.at(0));
        add(Code.CONFLICT, origin, finding.path(), finding.message());
      }
      throwProblems(commandLine.sources());
      return spec;
    }

    /**
     * @param sources of the command line, in its order
     */
    private void throwProblems(List<String> sources) {
      if (problems.isEmpty()) {
        return;
      }
      // As they stand in the file, then as they stand on the command line.
      problems.sort(
          Comparator.comparing((SpecProblem problem) -> sources.indexOf(problem.origin().source()))
              .thenComparing(problem -> problem.origin().line()));
      throw new SpecException(problems);
    }

    /** Reads every value that has a key, and refuses those that have none. */
    private void collect(Tree.Mapping mapping, String prefix) {
      for (Map.Entry<String, Tree> entry : mapping.entries().entrySet()) {
        String path = prefix.isEmpty() ? entry.getKey() : prefix + "." + entry.getKey();
        Tree tree = entry.getValue();
        given.put(path, tree.origin());
        Optional<Key<?>> key = Keys.ALL.stream().filter(k -> k.path().equals(path)).findFirst();
        if (key.isPresent()) {
          take(key.get(), tree);
        } else if (Suggestions.isSection(path)) {
          if (tree instanceof Tree.Mapping section) {
            collect(section, path);
          } else {
            add(
                Code.WRONG_TYPE,
                tree.origin(),
                path,
                tree.describe() + "; give a mapping of " + Suggestions.childrenOf(path));
          }
        } else {
          unknown(tree, path, prefix, entry.getKey());
        }
      }
    }

    /** To think of a cure for each of a hundred thousand would take long, and help nobody. */
    private void unknown(Tree tree, String path, String prefix, String key) {
      if (problems.size() < MOST_PROBLEMS) {
        add(
            Code.UNKNOWN_KEY,
            tree.origin(),
            path,
            "is no key of a specification; "
                + Suggestions.cure(prefix, key).replace(WHOLE + ".", reward + "."));
      }
    }

    private <T> void take(Key<T> key, Tree tree) {
      try {
        values.put(key, key.type().read(tree));
      } catch (ValueType.Mismatch e) {
        add(
            e.code(),
            tree.origin(),
            key.path(),
            e.getMessage() + "; give " + key.type().describe());
      }
    }

    /** Fills in what was not given, and refuses what does not belong. */
    private <T> void settle(Key<T> key) {
      if (key.only().isPresent() && !belongs(key.only().get())) {
        if (given.containsKey(key.path())) {
          add(
              Code.CONFLICT,
              given.get(key.path()),
              key.path(),
              "belongs to " + key.only().get() + " only; remove it, or change the kind");
        }
        return;
      }
      if (given.containsKey(key.path())) {
        return;
      }
      switch (key.absent()) {
        case Absent.Refused<T> refused -> {
          // A section of the wrong type, or a choice that is none, has had its error already.
          if (!brokenAbove(key)
              && (key.only().isEmpty() || chosen(key.only().get().path()).isPresent())) {
            add(
                Code.MISSING_KEY,
                source.at(0),
                key.path(),
                "is missing; give " + key.type().describe());
          }
        }
        case Absent.Allowed<T> allowed -> {}
        case Absent.Default<T>(T value) -> values.put(key, value);
      }
    }

    /** Whether a choice is, or in the face of its own error may be, one of those named. */
    private boolean belongs(Key.Belongs only) {
      return chosen(only.path()).map(only.values()::contains).orElse(true);
    }

    private Optional<String> chosen(String path) {
      return values.entrySet().stream()
          .filter(entry -> entry.getKey().path().equals(path))
          .findFirst()
          .map(entry -> ValueType.Choice.name((Enum<?>) entry.getValue()));
    }

    private boolean brokenAbove(Key<?> key) {
      return problems.stream()
          .anyMatch(
              problem ->
                  shown(key.path()).startsWith(problem.path() + ".") && !problem.path().isEmpty());
    }

    private List<String> prompts() {
      boolean file = given.containsKey(Keys.PROMPTS_FILE.path());
      boolean list = given.containsKey(Keys.PROMPTS_LIST.path());
      if (given.containsKey("prompts") && file == list) {
        if (!hasProblem("prompts")) {
          add(
              Code.CONFLICT,
              given.get("prompts"),
              "prompts",
              file ? "has both file and list; remove one" : "is empty; give file or list");
        }
        return List.of();
      }
      if (list) {
        return find(Keys.PROMPTS_LIST).orElse(List.of());
      }
      return confinement.isPresent()
          ? List.of()
          : find(Keys.PROMPTS_FILE).map(this::promptsOf).orElse(List.of());
    }

    private List<String> promptsOf(String name) {
      Origin origin = given.get(Keys.PROMPTS_FILE.path());
      Path file = locate(name);
      if (!Files.isRegularFile(file)) {
        add(
            Code.MISSING_FILE,
            origin,
            Keys.PROMPTS_FILE.path(),
            "there is no file '"
                + name
                + "'"
                + places()
                + "; give a text file with a prompt a line");
        return List.of();
      }
      try {
        List<PromptFile.Line> prompts = PromptFile.read(file);
        if (prompts.isEmpty()) {
          add(
              Code.OUT_OF_RANGE,
              origin,
              Keys.PROMPTS_FILE.path(),
              "'" + name + "' holds no prompt; give a text file with a prompt a line");
        }
        for (PromptFile.Line line : prompts) {
          int length = PromptFile.length(line.prompt());
          if (length > PromptFile.LONGEST) {
            add(
                Code.OUT_OF_RANGE,
                new Origin(file.toString(), line.line()),
                Keys.PROMPTS_FILE.path(),
                "the prompt has "
                    + length
                    + " characters; give at most "
                    + PromptFile.LONGEST
                    + ", of which a text encoder reads some 77 tokens");
          }
        }
        return prompts.stream().map(PromptFile.Line::prompt).toList();
      } catch (IOException e) {
        add(
            Code.MISSING_FILE,
            origin,
            Keys.PROMPTS_FILE.path(),
            "'" + name + "' cannot be read as UTF-8 text; give a text file with a prompt a line");
        return List.of();
      }
    }

    private String checkpoint() {
      String name = find(Keys.CHECKPOINT).orElse("");
      if (name.isEmpty() || toSend) {
        return name;
      }
      return confinement
          .map(allowed -> confinedCheckpoint(name, allowed))
          .orElseGet(() -> checkpoint(name));
    }

    private String checkpoint(String name) {
      Path path = locate(name);
      // The worker tells those who give a checkpoint of one file how it becomes a folder.
      if (Files.isDirectory(path) || Files.isRegularFile(path)) {
        return path.toAbsolutePath().normalize().toString();
      }
      // A missing folder of one's own must not become a download.
      boolean hub =
          HUB_ID.matcher(name).matches()
              && !Files.isDirectory(locate(name.substring(0, name.indexOf('/'))));
      if (!hub) {
        add(
            Code.MISSING_FILE,
            given.get(Keys.CHECKPOINT.path()),
            Keys.CHECKPOINT.path(),
            "there is no folder '"
                + name
                + "'"
                + places()
                + "; give "
                + Keys.CHECKPOINT.type().describe());
      }
      return name;
    }

    private String confinedCheckpoint(String name, Confinement allowed) {
      Optional<Path> folder = allowed.model(name);
      if (folder.isPresent()) {
        return folder.get().toString();
      }
      Origin origin = given.get(Keys.CHECKPOINT.path());
      boolean hub = HUB_ID.matcher(name).matches() && !allowed.beginsHere(name);
      if (!hub) {
        add(
            Code.MISSING_FILE,
            origin,
            Keys.CHECKPOINT.path(),
            "there is no '"
                + name
                + "' in the server's model folders; name a model that its operator put there");
      } else if (!allowed.allowHub()) {
        add(
            Code.FORBIDDEN,
            origin,
            Keys.CHECKPOINT.path(),
            "the server takes no model from the hub; name one in its model folders, or ask its"
                + " operator to allow hub ids");
      }
      return name;
    }

    /** What stands in a specification, but is not to be had from a server. */
    private void confine(Confinement allowed, List<String> prompts) {
      if (given.containsKey(Keys.PROMPTS_FILE.path())) {
        forbid(
            Keys.PROMPTS_FILE,
            "the server reads no files of its clients; give the prompts themselves in"
                + " prompts.list");
      }
      if (prompts.size() > allowed.maxPrompts()) {
        add(
            Code.OUT_OF_RANGE,
            given.get(Keys.PROMPTS_LIST.path()),
            Keys.PROMPTS_LIST.path(),
            "has " + prompts.size() + " prompts; give at most " + allowed.maxPrompts());
      }
    }

    /** What whoever sends a specification must not decide, and is told before it is sent. */
    private void leaveToServer() {
      if (find(Keys.WORKER).filter(worker -> !worker.equals(Keys.DEFAULT_WORKER)).isPresent()) {
        forbid(Keys.WORKER, "the server decides which worker runs what; remove it");
      }
    }

    private Path locate(String name) {
      Path here = workingDirectory.resolve(name);
      Path beside = workingDirectory.resolve(folder).resolve(name);
      return !Files.exists(here) && Files.exists(beside) ? beside : here;
    }

    private String places() {
      return folder.toString().isEmpty()
          ? " in the working directory"
          : " in the working directory or in " + folder;
    }

    /** What keys must hold together. */
    private void check(List<String> prompts) {
      if (given.containsKey("algorithm.kl")) {
        boolean budget = given.containsKey(Keys.KL_BUDGET.path());
        boolean weight = given.containsKey(Keys.KL_WEIGHT.path());
        if (budget && weight) {
          add(
              Code.CONFLICT,
              later(Keys.KL_BUDGET, Keys.KL_WEIGHT),
              "algorithm.kl",
              "has both budget and weight; remove one (on the command line, replace both:"
                  + " --set 'algorithm.kl={weight: 0.02}')");
        } else if (weight && given.containsKey(Keys.KL_PROBES.path())) {
          add(
              Code.CONFLICT,
              later(Keys.KL_PROBES, Keys.KL_WEIGHT),
              Keys.KL_PROBES.path(),
              "measures what a budget holds, and there is a weight; give a budget, or remove it");
        } else if (!budget && !weight && !hasProblem("algorithm.kl")) {
          add(
              Code.CONFLICT,
              given.get("algorithm.kl"),
              "algorithm.kl",
              "has neither budget nor weight; give one");
        }
      }
      boolean unconditional = !given.containsKey("prompts");
      if (unconditional && find(Keys.GUIDANCE).filter(guidance -> guidance != 1).isPresent()) {
        add(
            Code.CONFLICT,
            given.get(Keys.GUIDANCE.path()),
            Keys.GUIDANCE.path(),
            get(Keys.GUIDANCE)
                + " needs prompts; give prompts.file or prompts.list, or a guidance of 1");
      }
      checkAhead();
      Optional<Long> warmup = find(Keys.WARMUP);
      Optional<Long> iterations = find(Keys.ITERATIONS);
      checkBudget(warmup.orElse(0L));
      if (warmup.isPresent() && iterations.isPresent() && warmup.get() >= iterations.get()) {
        Key<?> blamed = given.containsKey(Keys.WARMUP.path()) ? Keys.WARMUP : Keys.ITERATIONS;
        add(
            Code.CONFLICT,
            given.get(blamed.path()),
            blamed.path(),
            "a warm-up of "
                + warmup.get()
                + " leaves none of "
                + iterations.get()
                + " iterations to improve the policy; give fewer for algorithm.value.warmup, or"
                + " more for algorithm.iterations");
      }
    }

    private void checkAhead() {
      Optional<Long> ahead = find(Keys.VALUE_AHEAD);
      Optional<Long> steps = find(Keys.VALUE_STEPS);
      if (ahead.isPresent() && steps.isPresent() && ahead.get() >= steps.get()) {
        refuse(
            Keys.VALUE_AHEAD,
            "leaves none of the "
                + steps.get()
                + " steps for this iteration's trajectories; give fewer, or more for"
                + " algorithm.value.steps");
      }
    }

    /** A budget that pays for no training is a mistake. */
    private void checkBudget(long warmup) {
      Optional<Long> budget = find(Keys.BUDGET);
      Optional<Long> samples = find(Keys.SAMPLES);
      Optional<Long> every = find(Keys.EVERY);
      Optional<Long> images = find(Keys.IMAGES);
      if (budget.isEmpty() || samples.isEmpty() || every.isEmpty() || images.isEmpty()) {
        return;
      }
      EvaluateSpec evaluate = new EvaluateSpec(whole(Keys.EVERY), whole(Keys.IMAGES));
      OptionalLong queries = OptionalLong.of(budget.get());
      long iterations = RunSpec.affordable(queries, whole(Keys.SAMPLES), evaluate);
      if (iterations <= warmup) {
        refuse(
            Keys.BUDGET,
            "pays for "
                + iterations
                + " iterations with their evaluations, none of which improves the policy; give"
                + " more, or less for algorithm.samples or evaluate.images");
      }
    }

    private Origin later(Key<?> one, Key<?> other) {
      Origin first = given.get(one.path());
      Origin second = given.get(other.path());
      boolean firstIsLater =
          !first.source().equals(source.source())
              || first.line() > second.line() && second.line() != 0;
      return firstIsLater ? first : second;
    }

    private boolean hasProblem(String section) {
      String prefix = shown(section) + ".";
      return problems.stream().anyMatch(problem -> (problem.path() + ".").startsWith(prefix));
    }

    private String shown(String path) {
      return reward.equals(WHOLE) || !(path + ".").startsWith(WHOLE + ".")
          ? path
          : reward + path.substring(WHOLE.length());
    }

    private RunSpec spec(List<String> prompts, String checkpoint, RewardSpec rewards) {
      ModelSpec model =
          new ModelSpec(
              checkpoint,
              find(Keys.REVISION).orElse(""),
              get(Keys.DEVICE),
              get(Keys.DTYPE),
              new AdapterSpec(
                  whole(Keys.RANK), get(Keys.ALPHA), find(Keys.TARGETS).orElse(List.of())),
              wholeIfGiven(Keys.HEIGHT),
              wholeIfGiven(Keys.WIDTH),
              get(Keys.GRADIENT_CHECKPOINTING),
              get(Keys.OFFLOAD));
      SamplerSpec sampler =
          new SamplerSpec(
              get(Keys.SAMPLER_KIND),
              whole(Keys.SAMPLER_STEPS),
              find(Keys.GUIDANCE).orElse(prompts.isEmpty() ? 1.0 : DEFAULT_GUIDANCE),
              find(Keys.ETA).map(OptionalDouble::of).orElse(OptionalDouble.empty()),
              whole(Keys.SAMPLER_BATCH),
              new TrajectoriesSpec(get(Keys.TRAJECTORIES_DTYPE), get(Keys.TRAJECTORIES_DEVICE)));
      return new RunSpec(
          get(Keys.NAME),
          get(Keys.SEED),
          model,
          prompts,
          sampler,
          rewards,
          algorithm(rewards.remote()),
          new EvaluateSpec(whole(Keys.EVERY), whole(Keys.IMAGES)),
          find(Keys.BUDGET).map(OptionalLong::of).orElse(OptionalLong.empty()),
          new CheckpointSpec(whole(Keys.CHECKPOINT_EVERY), whole(Keys.CHECKPOINT_KEEP)),
          get(Keys.WORKER),
          find(Keys.THREADS).map(Math::toIntExact).orElse(processors));
    }

    // ----------------------------------------------------------------------------- the reward

    /** The reward, or nothing where it has an error. */
    private Optional<RewardSpec> rewards() {
      int before = problems.size();
      List<RewardSpec.Part> parts = new ArrayList<>();
      if (find(Keys.REWARD_KIND).filter(RewardSource.Kind.SUM::equals).isEmpty()) {
        refuse(Keys.REWARD_NORMALISE, "belongs to the parts of a sum; remove it");
        part().ifPresent(parts::add);
      } else {
        for (Key<?> key : Keys.OF_PARTS) {
          refuse(key, "belongs to the parts of a sum; give it there");
        }
        List<Tree.Mapping> mappings = find(Keys.REWARD_PARTS).orElse(List.of());
        for (Tree.Mapping mapping : mappings) {
          String name = "reward.parts[" + parts.size() + "]";
          Reading reading = new Reading(source, folder, name);
          reading.readPart(mapping).ifPresent(parts::add);
          problems.addAll(reading.problems);
        }
        namesDiffer(parts);
      }
      if (problems.size() > before || parts.isEmpty() || hasProblem("reward")) {
        return Optional.empty();
      }
      return Optional.of(
          new RewardSpec(
              parts,
              get(Keys.REWARD_CACHE),
              get(Keys.REWARD_ON_FAILURE),
              get(Keys.REWARD_MOST_DROPPED)));
    }

    private Optional<RewardSpec.Part> readPart(Tree.Mapping mapping) {
      given.put(WHOLE, mapping.origin());
      collect(mapping, WHOLE);
      Keys.ALL.stream().filter(key -> key.path().startsWith(WHOLE + ".")).forEach(this::settle);
      for (Key<?> key : Keys.OF_SUMS) {
        refuse(key, "belongs to the whole reward; give it there");
      }
      if (find(Keys.REWARD_KIND).filter(RewardSource.Kind.SUM::equals).isPresent()) {
        refuse(Keys.REWARD_KIND, "a sum holds no sums; give their parts");
      }
      return part();
    }

    private void namesDiffer(List<RewardSpec.Part> parts) {
      List<String> names = new ArrayList<>();
      for (RewardSpec.Part part : parts) {
        if (names.contains(part.name())) {
          add(
              Code.CONFLICT,
              given.get(Keys.REWARD_PARTS.path()),
              Keys.REWARD_PARTS.path(),
              "two parts are called " + part.name() + "; give each a name of its own");
        }
        names.add(part.name());
      }
    }

    private void refuse(Key<?> key, String why) {
      if (given.containsKey(key.path())) {
        add(Code.CONFLICT, given.get(key.path()), key.path(), why);
      }
    }

    private Optional<RewardSpec.Part> part() {
      Optional<RewardSource> source = hasProblem(WHOLE) ? Optional.empty() : source();
      Optional<AskingSpec.Range> range = range();
      source.ifPresent(this::permit);
      return source
          .filter(found -> !hasProblem(WHOLE))
          .map(
              found ->
                  new RewardSpec.Part(
                      find(Keys.REWARD_NAME).orElse(ValueType.Choice.name(found.kind())),
                      get(Keys.REWARD_WEIGHT),
                      reward.equals(WHOLE)
                          ? RewardSpec.Normalise.NONE
                          : find(Keys.REWARD_NORMALISE).orElse(RewardSpec.Normalise.FIXED),
                      found,
                      asking(AskingSpec.of(found), range)));
    }

    /** What of rewards is not to be had from a server. */
    private void permit(RewardSource source) {
      if (!toSend && confinement.isEmpty()) {
        return;
      }
      if (source instanceof RewardSource.Supplied) {
        forbid(
            Keys.REWARD_KIND,
            "supplied needs a Java program that brings the reward; give another kind");
      }
      if (confinement.isEmpty()) {
        return;
      }
      for (String address : Confinement.addresses(source)) {
        if (!confinement.get().rewards().contains(address) && problems.size() < MOST_PROBLEMS) {
          forbid(
              Keys.REWARD_KIND,
              "the server takes no reward from "
                  + address
                  + "; give one that its operator allowed, or ask for this one"
                  + " (vard serve --allow-reward "
                  + ShellCommand.word(address)
                  + ")");
        }
      }
      if (given.containsKey(Keys.REWARD_CA.path())) {
        forbid(
            Keys.REWARD_CA,
            "the server opens no such file for its clients; remove it, and ask its"
                + " operator to trust the reward's certificate");
      }
      if (find(Keys.REWARD_TOKEN).filter(name -> !name.startsWith(TOKENS)).isPresent()) {
        forbid(
            Keys.REWARD_TOKEN,
            "the server gives no such variable to rewards; give one that begins with " + TOKENS);
      }
    }

    private void forbid(Key<?> key, String why) {
      add(Code.FORBIDDEN, given.get(key.path()), key.path(), why);
    }

    private AskingSpec asking(AskingSpec byDefault, Optional<AskingSpec.Range> range) {
      return new AskingSpec(
          find(Keys.REWARD_BATCH).map(Math::toIntExact).or(byDefault::batch),
          find(Keys.REWARD_CONCURRENCY).map(Math::toIntExact).or(byDefault::concurrency),
          Duration.ofNanos(Math.round(get(Keys.REWARD_TIMEOUT) * 1e9)),
          find(Keys.REWARD_RETRIES).map(Math::toIntExact).orElse(byDefault.retries()),
          range);
    }

    private Optional<AskingSpec.Range> range() {
      Optional<List<Double>> range = find(Keys.REWARD_RANGE);
      if (range.isPresent() && range.get().get(0) >= range.get().get(1)) {
        refuse(Keys.REWARD_RANGE, "the least is not below the most; give them in that order");
        return Optional.empty();
      }
      return range.map(ends -> new AskingSpec.Range(ends.get(0), ends.get(1)));
    }

    private Optional<RewardSource> source() {
      return find(Keys.REWARD_KIND)
          .flatMap(
              kind ->
                  switch (kind) {
                    case JPEG_COMPRESSIBILITY ->
                        Optional.of(
                            new RewardSource.JpegCompressibility(whole(Keys.REWARD_QUALITY)));
                    case JPEG_INCOMPRESSIBILITY ->
                        Optional.of(
                            new RewardSource.JpegIncompressibility(whole(Keys.REWARD_QUALITY)));
                    case JAVA ->
                        Optional.of(
                            new RewardSource.JavaClass(
                                get(Keys.REWARD_CLASS),
                                find(Keys.REWARD_OPTIONS).orElse(Map.of())));
                    case ONNX -> onnx();
                    case GRPC -> grpc();
                    case HTTP ->
                        access(get(Keys.REWARD_URL).startsWith("https:"))
                            .map(
                                access ->
                                    new RewardSource.Http(
                                        URI.create(get(Keys.REWARD_URL)), access));
                    case PYTHON ->
                        Optional.of(
                            new RewardSource.Python(
                                get(Keys.REWARD_FUNCTION),
                                find(Keys.REWARD_OPTIONS).orElse(Map.of()),
                                get(Keys.REWARD_DEVICE)));
                    case SUPPLIED -> Optional.of(new RewardSource.Supplied());
                    case SUM -> Optional.empty();
                  });
    }

    private Optional<RewardSource> onnx() {
      Optional<String> className = find(Keys.ONNX_CLASS);
      if (className.isPresent() && given.containsKey(Keys.ONNX_INDEX.path())) {
        add(
            Code.CONFLICT,
            later(Keys.ONNX_INDEX, Keys.ONNX_CLASS),
            "reward.output",
            "has both index and class; remove one");
        return Optional.empty();
      }
      if (get(Keys.ONNX_TAKE) == RewardSource.Onnx.Take.MEAN) {
        String why = "does nothing where the mean of all is taken; remove it";
        refuse(Keys.ONNX_CLASS, why);
        // The default is written out in what a run came to.
        if (whole(Keys.ONNX_INDEX) != 0) {
          refuse(Keys.ONNX_INDEX, why);
        }
      }
      return file(Keys.REWARD_MODEL, get(Keys.REWARD_MODEL))
          .map(
              model ->
                  new RewardSource.Onnx(
                      model,
                      new RewardSource.Onnx.Input(
                          find(Keys.ONNX_SIZE).map(Math::toIntExact),
                          get(Keys.ONNX_LAYOUT),
                          get(Keys.ONNX_MEAN),
                          get(Keys.ONNX_DEVIATION)),
                      new RewardSource.Onnx.Output(
                          find(Keys.ONNX_OUTPUT),
                          get(Keys.ONNX_TAKE),
                          whole(Keys.ONNX_INDEX),
                          className)));
    }

    private Optional<RewardSource> grpc() {
      for (String endpoint : get(Keys.REWARD_ENDPOINTS)) {
        if (!ENDPOINT.matcher(endpoint).matches()) {
          add(
              Code.OUT_OF_RANGE,
              given.get(Keys.REWARD_ENDPOINTS.path()),
              Keys.REWARD_ENDPOINTS.path(),
              "'" + endpoint + "' does not fit; give host:port");
          return Optional.empty();
        }
      }
      return access(get(Keys.REWARD_TLS))
          .map(
              access ->
                  new RewardSource.Grpc(
                      get(Keys.REWARD_ENDPOINTS), find(Keys.REWARD_SERVED).orElse(""), access));
    }

    private Optional<RewardSource.Access> access(boolean tls) {
      Optional<String> ca = find(Keys.REWARD_CA);
      if (ca.isPresent() && !tls) {
        refuse(Keys.REWARD_CA, "needs TLS; give tls: true, or an https URL");
        return Optional.empty();
      }
      Optional<Path> file = ca.flatMap(name -> file(Keys.REWARD_CA, name));
      return ca.isPresent() && file.isEmpty()
          ? Optional.empty()
          : Optional.of(new RewardSource.Access(tls, file, find(Keys.REWARD_TOKEN)));
    }

    /** A file that is named here; of what is to be sent, as it was written. */
    private Optional<Path> file(Key<?> key, String name) {
      if (toSend) {
        return Optional.of(Path.of(name));
      }
      Optional<Path> found =
          confinement.isPresent()
              ? confinement.get().file(name)
              : Optional.of(locate(name).toAbsolutePath().normalize()).filter(Files::isRegularFile);
      if (found.isEmpty()) {
        add(
            Code.MISSING_FILE,
            given.get(key.path()),
            key.path(),
            "there is no file '"
                + name
                + "'"
                + (confinement.isPresent() ? " in the server's model folders" : places())
                + "; give "
                + key.type().describe());
      }
      return found;
    }

    private AlgorithmSpec algorithm(boolean remote) {
      int iterations = whole(Keys.ITERATIONS);
      int samples = whole(Keys.SAMPLES);
      int staleness = whole(Keys.STALENESS);
      PolicySpec policy =
          new PolicySpec(
              whole(Keys.POLICY_STEPS),
              whole(Keys.POLICY_BATCH),
              get(Keys.POLICY_RATE),
              get(Keys.FINAL_RATE),
              get(Keys.PHASE_RATE),
              get(Keys.POLICY_NORM),
              wholeIfGiven(Keys.POLICY_MICRO_BATCH));
      KlSpec kl =
          find(Keys.KL_WEIGHT)
              .<KlSpec>map(KlWeight::new)
              .orElseGet(
                  () ->
                      new KlBudget(
                          find(Keys.KL_BUDGET).orElse(DEFAULT_BUDGET), whole(Keys.KL_PROBES)));
      return switch (get(Keys.ALGORITHM_KIND)) {
        case VARD -> new VardSpec(iterations, samples, staleness, value(remote), policy, kl);
        case DDPO ->
            new DdpoSpec(
                iterations,
                samples,
                staleness,
                policy,
                kl,
                get(Keys.CLIP),
                get(Keys.ADVANTAGE_CLIP));
      };
    }

    private ValueSpec value(boolean remote) {
      int steps = whole(Keys.VALUE_STEPS);
      return new ValueSpec(
          get(Keys.VALUE_KIND),
          get(Keys.VALUE_INPUT),
          get(Keys.VALUE_PROMPT),
          wholeIfGiven(Keys.VALUE_WIDTH),
          whole(Keys.WARMUP),
          steps,
          whole(Keys.VALUE_BATCH),
          get(Keys.VALUE_RATE),
          whole(Keys.REPLAY),
          get(Keys.VALUE_NORM),
          find(Keys.VALUE_AHEAD).map(Math::toIntExact).orElse(remote ? steps / 2 : 0),
          wholeIfGiven(Keys.VALUE_MICRO_BATCH));
    }

    private OptionalInt wholeIfGiven(Key<Long> key) {
      return find(key)
          .map(value -> OptionalInt.of(Math.toIntExact(value)))
          .orElse(OptionalInt.empty());
    }

    private int whole(Key<Long> key) {
      return Math.toIntExact(get(key));
    }

    private <T> T get(Key<T> key) {
      return find(key)
          .orElseThrow(() -> new IllegalStateException(key.path() + " was not settled"));
    }

    /** Safe: {@link #take} and {@link #settle} put values of the key's own type only. */
    @SuppressWarnings("unchecked")
    private <T> Optional<T> find(Key<T> key) {
      return Optional.ofNullable((T) values.get(key));
    }

    private void add(Code code, Origin origin, String path, String message) {
      problems.add(new SpecProblem(code, origin, shown(path), message));
    }
  }
}
