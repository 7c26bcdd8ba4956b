package dev.vard.reward.kind;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import dev.vard.reward.Image;
import dev.vard.reward.Reward;
import dev.vard.reward.RewardException;
import dev.vard.reward.RewardOutcome;
import dev.vard.reward.RewardOutcome.Failure;
import dev.vard.reward.RewardOutcome.Score;
import dev.vard.reward.RewardQuery;
import dev.vard.spec.AskingSpec;
import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.RewardSource;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A model that ONNX Runtime computes here, on the CPU. Each call has one thread, and there are as
 * many calls at once as there are cores: faster than one call with all threads, which meet in every
 * operation, and a score is the same whatever else is scored.
 */
final class OnnxReward implements Reward {
  /** In the model's metadata: the names of the output's numbers, with commas between. */
  private static final String CLASSES = "classes";

  private final String name;
  private final int batch;
  private final OnnxInput input;
  private final OnnxOutput output;
  private final String inputName;
  private final OrtEnvironment environment;
  private final OrtSession session;
  private final OrtSession.RunOptions running;

  /** Calls read; who closes writes: native memory must not go while a call uses it. */
  private final ReadWriteLock open = new ReentrantReadWriteLock();

  private boolean closed;

  private OnnxReward(
      String name,
      RewardSource.Onnx source,
      AskingSpec asking,
      OrtEnvironment environment,
      OrtSession session)
      throws OrtException {
    this.name = name;
    this.environment = environment;
    this.session = session;
    Map<String, NodeInfo> inputs = session.getInputInfo();
    if (inputs.size() != 1
        || !(inputs.values().iterator().next().getInfo() instanceof TensorInfo info)) {
      throw new RewardException(
          name,
          "WRONG_MODEL",
          "the model's inputs are %s, and only an image can be given; for a model that wants more,"
                  .formatted(String.join(", ", inputs.keySet()))
              + " bring a reward of kind java or python",
          false,
          null);
    }
    this.inputName = inputs.keySet().iterator().next();
    this.input = OnnxInput.of(name, source.input(), info);
    this.output = OnnxOutput.of(name, source.output(), session.getOutputInfo(), classes(session));
    this.batch = input.batch().orElseGet(() -> asking.batch().orElse(1));
    this.running = new OrtSession.RunOptions();
  }

  /**
   * Reads the model and tries it with a black image, if its size is known.
   *
   * @throws RewardException if there is no such model, or it cannot be a reward as the source says
   */
  static OnnxReward open(
      String name, RewardSource.Onnx source, AskingSpec asking, RewardEnvironment environment) {
    if (!Files.isRegularFile(source.model())) {
      throw new RewardException(
          name,
          "NO_MODEL",
          "there is no file " + source.model() + "; set reward.model to an ONNX file",
          false,
          null);
    }
    OrtEnvironment runtime = runtime(name);
    OrtSession session = session(name, source, runtime);
    OnnxReward reward = null;
    try {
      reward = new OnnxReward(name, source, asking, runtime, session);
      reward.tryOut();
      return reward;
    } catch (RewardException | OrtException e) {
      if (reward == null) {
        close(session);
      } else {
        reward.close();
      }
      throw e instanceof RewardException known
          ? known
          : new RewardException(
              name,
              "WRONG_MODEL",
              "ONNX Runtime cannot compute %s: %s".formatted(source.model(), e.getMessage()),
              false,
              e);
    }
  }

  private static OrtEnvironment runtime(String name) {
    try {
      // Errors come as exceptions too, and the terminal is the progress bar's.
      return OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, "vard");
    } catch (LinkageError e) {
      throw new RewardException(
          name,
          "NO_RUNTIME",
          "ONNX Runtime does not load on this machine (%s); it is built for Linux and macOS, and"
                  .formatted(e.getMessage())
              + " needs a temporary folder that programs may be run from",
          false,
          e);
    }
  }

  private static OrtSession session(
      String name, RewardSource.Onnx source, OrtEnvironment environment) {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1);
      options.setInterOpNumThreads(1);
      options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
      return environment.createSession(source.model().toString(), options);
    } catch (OrtException e) {
      throw new RewardException(
          name,
          "NOT_ONNX",
          "%s is no model that ONNX Runtime %s reads: %s"
              .formatted(source.model(), environment.getVersion(), e.getMessage()),
          false,
          e);
    }
  }

  private static List<String> classes(OrtSession session) throws OrtException {
    return session
        .getMetadata()
        .getCustomMetadataValue(CLASSES)
        .map(text -> Arrays.stream(text.split(",")).map(String::strip).toList())
        .orElse(List.of());
  }

  private void tryOut() throws OrtException {
    if (input.size().isPresent()) {
      run(List.of(OnnxInput.black(input.size().get())));
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int batch() {
    return batch;
  }

  @Override
  public Optional<Range> range() {
    return output.range();
  }

  @Override
  public List<RewardOutcome> score(List<RewardQuery> queries) {
    if (queries.size() == 1) {
      return scoreAlike(List.of(queries.getFirst().image()));
    }
    RewardOutcome[] outcomes = new RewardOutcome[queries.size()];
    // A tensor's images are of one size.
    Map<OnnxInput.Size, List<Integer>> bySize =
        IntStream.range(0, queries.size())
            .boxed()
            .collect(
                Collectors.groupingBy(
                    i -> input.sizeFor(queries.get(i).image()),
                    LinkedHashMap::new,
                    Collectors.toList()));
    for (List<Integer> alike : bySize.values()) {
      List<RewardOutcome> some =
          scoreAlike(alike.stream().map(i -> queries.get(i).image()).toList());
      for (int i = 0; i < alike.size(); i++) {
        outcomes[alike.get(i)] = some.get(i);
      }
    }
    return List.of(outcomes);
  }

  private List<RewardOutcome> scoreAlike(List<Image> images) {
    open.readLock().lock();
    try {
      if (closed) {
        return failed(images, "CLOSED", "it was closed");
      }
      List<RewardOutcome> outcomes = new ArrayList<>(images.size());
      for (double score : run(images)) {
        outcomes.add(new Score(score));
      }
      return outcomes;
    } catch (OrtException | RewardException e) {
      return failed(
          images,
          "ONNX_FAILED",
          "the model did not take images of %s: %s"
              .formatted(input.sizeFor(images.getFirst()), e.getMessage()));
    } finally {
      open.readLock().unlock();
    }
  }

  private static List<RewardOutcome> failed(List<Image> images, String code, String message) {
    return Collections.nCopies(images.size(), new Failure(code, message, false));
  }

  private double[] run(List<Image> images) throws OrtException {
    try (OnnxInput.Filled filled = input.fill(environment, images);
        OrtSession.Result result =
            session.run(Map.of(inputName, filled.tensor()), Set.of(output.name()), running)) {
      return output.scores(result.get(0), images.size(), filled.images());
    }
  }

  /** Calls that are under way end early, as failures. */
  @Override
  public void close() {
    try {
      running.setTerminate(true);
    } catch (OrtException e) {
      // Then they end when they end.
    }
    open.writeLock().lock();
    try {
      closed = true;
      running.close();
      close(session);
    } finally {
      open.writeLock().unlock();
    }
  }

  private static void close(OrtSession session) {
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime could not let go of a model", e);
    }
  }
}
