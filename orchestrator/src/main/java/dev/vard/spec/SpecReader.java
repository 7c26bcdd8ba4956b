package dev.vard.spec;

import dev.vard.spec.AlgorithmSpec.DdpoSpec;
import dev.vard.spec.AlgorithmSpec.VardSpec;
import dev.vard.spec.Key.Absent;
import dev.vard.spec.KlSpec.KlBudget;
import dev.vard.spec.KlSpec.KlWeight;
import dev.vard.spec.SpecProblem.Code;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Pattern;

/**
 * Reads a specification strictly: what it does not understand is an error, and all errors are told
 * at once.
 *
 * <p>Files that a specification names are looked for in the working directory first, then beside
 * the specification.
 */
public final class SpecReader {
  private static final double DEFAULT_BUDGET = 60.0;
  private static final double DEFAULT_GUIDANCE = 3.0;
  private static final Pattern HUB_ID = Pattern.compile("[\\w.-]+/[\\w.-]+");

  /** All problems are told at once; a text with more than these is no specification. */
  static final int MOST_PROBLEMS = 100;

  /** Bounded: the pattern's machine, and what comes after it, call themselves for each part. */
  private static final Pattern KEY_PATH = Pattern.compile("[^.=]{1,99}(\\.[^.=]{1,99}){0,9}");

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
    return new Reading(new Origin(source, 1), folder).read(text, overrides);
  }

  private static SpecException unreadable(Path file, Code code, String message) {
    return new SpecException(
        List.of(new SpecProblem(code, new Origin(file.toString(), 0), "", message)));
  }

  /** One specification on its way from text to records. */
  private final class Reading {
    private final Origin source;
    private final Path folder;
    private final List<SpecProblem> problems = new ArrayList<>();
    private final Map<Key<?>, Object> values = new HashMap<>();
    private final Map<String, Origin> given = new HashMap<>();

    Reading(Origin source, Path folder) {
      this.source = source;
      this.folder = folder;
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
      for (String override : overrides) {
        root = override(root, override);
      }
      collect(root, "");
      for (Key<?> key : Keys.ALL) {
        settle(key);
      }
      List<String> prompts = prompts();
      String checkpoint = checkpoint();
      check(prompts);
      confinement.ifPresent(allowed -> confine(allowed, prompts));
      if (toSend || confinement.isPresent()) {
        leaveToServer();
      }
      if (!problems.isEmpty()) {
        // As they stand in the file, then as they stand on the command line.
        List<String> sources = overrides.stream().map(Reading::sourceOf).toList();
        problems.sort(
            Comparator.comparing(
                    (SpecProblem problem) -> sources.indexOf(problem.origin().source()))
                .thenComparing(problem -> problem.origin().line()));
        throw new SpecException(problems);
      }
      return spec(prompts, checkpoint);
    }

    private static String sourceOf(String override) {
      return "--set " + override;
    }

    private Tree.Mapping override(Tree.Mapping root, String override) {
      Origin origin = new Origin(sourceOf(override), 0);
      int sign = override.indexOf('=');
      if (sign < 1 || !KEY_PATH.matcher(override.substring(0, sign)).matches()) {
        add(Code.BAD_YAML, origin, "", "this sets nothing; give key=value, as sampler.steps=20");
        return root;
      }
      List<String> path = List.of(override.substring(0, sign).split("\\."));
      int before = problems.size();
      Tree value =
          new TreeParser(origin, problems)
              .parse(override.substring(sign + 1))
              .orElse(new Tree.Scalar(origin, "", Tree.Scalar.Kind.NOTHING));
      return problems.size() > before ? root : root.with(path, value);
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
            "is no key of a specification; " + Suggestions.cure(prefix, key));
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
          // A section of the wrong type has had its error already.
          if (!brokenAbove(key)) {
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
      return values.entrySet().stream()
          .filter(entry -> entry.getKey().path().equals(only.path()))
          .findFirst()
          .map(entry -> only.values().contains(ValueType.Choice.name((Enum<?>) entry.getValue())))
          .orElse(true);
    }

    private boolean brokenAbove(Key<?> key) {
      return problems.stream()
          .anyMatch(
              problem -> key.path().startsWith(problem.path() + ".") && !problem.path().isEmpty());
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
        List<String> prompts =
            Files.readAllLines(file).stream()
                .map(String::strip)
                .filter(line -> !line.isEmpty() && !line.startsWith("#"))
                .toList();
        if (prompts.isEmpty()) {
          add(
              Code.OUT_OF_RANGE,
              origin,
              Keys.PROMPTS_FILE.path(),
              "'" + name + "' holds no prompt; give a text file with a prompt a line");
        }
        return prompts;
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
      if (Files.isDirectory(path)) {
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
        add(
            Code.FORBIDDEN,
            given.get(Keys.PROMPTS_FILE.path()),
            Keys.PROMPTS_FILE.path(),
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
      if (find(Keys.REWARD_KIND).filter(RewardSpec.Kind.SUPPLIED::equals).isPresent()) {
        add(
            Code.FORBIDDEN,
            given.get(Keys.REWARD_KIND.path()),
            Keys.REWARD_KIND.path(),
            "supplied needs a Java program that brings the reward; give another kind");
      }
      if (find(Keys.WORKER).filter(worker -> !worker.equals(Keys.DEFAULT_WORKER)).isPresent()) {
        add(
            Code.FORBIDDEN,
            given.get(Keys.WORKER.path()),
            Keys.WORKER.path(),
            "the server decides which worker runs what; remove it");
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
      Optional<Long> warmup = find(Keys.WARMUP);
      Optional<Long> iterations = find(Keys.ITERATIONS);
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

    private Origin later(Key<?> one, Key<?> other) {
      Origin first = given.get(one.path());
      Origin second = given.get(other.path());
      boolean firstIsLater =
          !first.source().equals(source.source())
              || first.line() > second.line() && second.line() != 0;
      return firstIsLater ? first : second;
    }

    private boolean hasProblem(String section) {
      return problems.stream()
          .anyMatch(problem -> (problem.path() + ".").startsWith(section + "."));
    }

    private RunSpec spec(List<String> prompts, String checkpoint) {
      ModelSpec model =
          new ModelSpec(
              checkpoint,
              find(Keys.REVISION).orElse(""),
              get(Keys.DEVICE),
              get(Keys.DTYPE),
              new AdapterSpec(whole(Keys.RANK), get(Keys.ALPHA), get(Keys.TARGETS)));
      SamplerSpec sampler =
          new SamplerSpec(
              get(Keys.SAMPLER_KIND),
              whole(Keys.SAMPLER_STEPS),
              find(Keys.GUIDANCE).orElse(prompts.isEmpty() ? 1.0 : DEFAULT_GUIDANCE),
              get(Keys.ETA),
              whole(Keys.SAMPLER_BATCH));
      return new RunSpec(
          get(Keys.NAME),
          get(Keys.SEED),
          model,
          prompts,
          sampler,
          reward(),
          algorithm(),
          new EvaluateSpec(whole(Keys.EVERY), whole(Keys.IMAGES)),
          new CheckpointSpec(whole(Keys.CHECKPOINT_EVERY), whole(Keys.CHECKPOINT_KEEP)),
          get(Keys.WORKER),
          find(Keys.THREADS).map(Math::toIntExact).orElse(processors));
    }

    private RewardSpec reward() {
      return switch (get(Keys.REWARD_KIND)) {
        case JPEG_COMPRESSIBILITY -> new RewardSpec.JpegCompressibility(whole(Keys.REWARD_QUALITY));
        case JPEG_INCOMPRESSIBILITY ->
            new RewardSpec.JpegIncompressibility(whole(Keys.REWARD_QUALITY));
        case SUPPLIED -> new RewardSpec.Supplied();
      };
    }

    private AlgorithmSpec algorithm() {
      int iterations = whole(Keys.ITERATIONS);
      int samples = whole(Keys.SAMPLES);
      PolicySpec policy =
          new PolicySpec(
              whole(Keys.POLICY_STEPS),
              whole(Keys.POLICY_BATCH),
              get(Keys.POLICY_RATE),
              get(Keys.FINAL_RATE),
              get(Keys.POLICY_NORM));
      KlSpec kl =
          find(Keys.KL_WEIGHT)
              .<KlSpec>map(KlWeight::new)
              .orElseGet(() -> new KlBudget(find(Keys.KL_BUDGET).orElse(DEFAULT_BUDGET)));
      return switch (get(Keys.ALGORITHM_KIND)) {
        case VARD -> new VardSpec(iterations, samples, value(), policy, kl);
        case DDPO ->
            new DdpoSpec(iterations, samples, policy, kl, get(Keys.CLIP), get(Keys.ADVANTAGE_CLIP));
      };
    }

    private ValueSpec value() {
      return new ValueSpec(
          get(Keys.VALUE_KIND),
          find(Keys.VALUE_WIDTH)
              .map(width -> OptionalInt.of(Math.toIntExact(width)))
              .orElse(OptionalInt.empty()),
          whole(Keys.WARMUP),
          whole(Keys.VALUE_STEPS),
          whole(Keys.VALUE_BATCH),
          get(Keys.VALUE_RATE),
          whole(Keys.REPLAY),
          get(Keys.VALUE_NORM));
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
      problems.add(new SpecProblem(code, origin, path, message));
    }
  }
}
