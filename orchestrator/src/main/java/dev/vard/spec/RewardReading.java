package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** Reads the reward, or one part of a sum. */
final class RewardReading {
  private static final Pattern ENDPOINT =
      Pattern.compile("[^\\s:/]+:\\d{1,5}|\\[[0-9a-fA-F:]+]:\\d{1,5}");

  private final Surroundings around;
  private final NamedFiles files;
  private final Given given;

  RewardReading(Surroundings around, NamedFiles files, Given given) {
    this.around = around;
    this.files = files;
    this.given = given;
  }

  /** The reward, or nothing where it has an error. */
  Optional<RewardSpec> rewards() {
    int before = given.problems().size();
    List<RewardSpec.Part> parts = new ArrayList<>();
    if (given.find(RewardKeys.REWARD_KIND).filter(RewardSource.Kind.SUM::equals).isEmpty()) {
      given.refuse(RewardKeys.REWARD_NORMALISE, "belongs to the parts of a sum; remove it");
      part().ifPresent(parts::add);
    } else {
      for (Key<?> key : RewardKeys.OF_PARTS) {
        given.refuse(key, "belongs to the parts of a sum; give it there");
      }
      List<Tree.Mapping> mappings = given.find(RewardKeys.REWARD_PARTS).orElse(List.of());
      for (Tree.Mapping mapping : mappings) {
        String name = "reward.parts[" + parts.size() + "]";
        Given part = new Given(given.source(), name);
        new RewardReading(around, files.of(part), part).readPart(mapping).ifPresent(parts::add);
        given.problems().addAll(part.problems());
      }
      namesDiffer(parts);
    }
    if (given.problems().size() > before || parts.isEmpty() || given.hasProblem("reward")) {
      return Optional.empty();
    }
    return Optional.of(
        new RewardSpec(
            parts,
            given.get(RewardKeys.REWARD_CACHE),
            given.get(RewardKeys.REWARD_ON_FAILURE),
            given.get(RewardKeys.REWARD_MOST_DROPPED)));
  }

  private Optional<RewardSpec.Part> readPart(Tree.Mapping mapping) {
    given.collectPart(mapping);
    RewardKeys.ALL.forEach(given::settle);
    for (Key<?> key : RewardKeys.OF_SUMS) {
      given.refuse(key, "belongs to the whole reward; give it there");
    }
    if (given.find(RewardKeys.REWARD_KIND).filter(RewardSource.Kind.SUM::equals).isPresent()) {
      given.refuse(RewardKeys.REWARD_KIND, "a sum holds no sums; give their parts");
    }
    return part();
  }

  private void namesDiffer(List<RewardSpec.Part> parts) {
    List<String> names = new ArrayList<>();
    for (RewardSpec.Part part : parts) {
      if (names.contains(part.name())) {
        given.add(
            Code.CONFLICT,
            given.origin(RewardKeys.REWARD_PARTS),
            RewardKeys.REWARD_PARTS.path(),
            "two parts are called " + part.name() + "; give each a name of its own");
      }
      names.add(part.name());
    }
  }

  private Optional<RewardSpec.Part> part() {
    Optional<RewardSource> source = given.hasProblem(Given.WHOLE) ? Optional.empty() : source();
    Optional<AskingSpec.Range> range = range();
    source.ifPresent(new Permissions(around, given)::permit);
    return source
        .filter(found -> !given.hasProblem(Given.WHOLE))
        .map(
            found ->
                new RewardSpec.Part(
                    given.find(RewardKeys.REWARD_NAME).orElse(ValueType.Choice.name(found.kind())),
                    given.get(RewardKeys.REWARD_WEIGHT),
                    !given.isPart()
                        ? RewardSpec.Normalise.NONE
                        : given
                            .find(RewardKeys.REWARD_NORMALISE)
                            .orElse(RewardSpec.Normalise.FIXED),
                    found,
                    asking(AskingSpec.of(found), range)));
  }

  private AskingSpec asking(AskingSpec byDefault, Optional<AskingSpec.Range> range) {
    return new AskingSpec(
        given.find(RewardKeys.REWARD_BATCH).map(Math::toIntExact).or(byDefault::batch),
        given.find(RewardKeys.REWARD_CONCURRENCY).map(Math::toIntExact).or(byDefault::concurrency),
        Duration.ofNanos(Math.round(given.get(RewardKeys.REWARD_TIMEOUT) * 1e9)),
        given.find(RewardKeys.REWARD_RETRIES).map(Math::toIntExact).orElse(byDefault.retries()),
        range);
  }

  private Optional<AskingSpec.Range> range() {
    Optional<List<Double>> range = given.find(RewardKeys.REWARD_RANGE);
    if (range.isPresent() && range.get().get(0) >= range.get().get(1)) {
      given.refuse(
          RewardKeys.REWARD_RANGE, "the least is not below the most; give them in that order");
      return Optional.empty();
    }
    return range.map(ends -> new AskingSpec.Range(ends.get(0), ends.get(1)));
  }

  private Optional<RewardSource> source() {
    return given
        .find(RewardKeys.REWARD_KIND)
        .flatMap(
            kind ->
                switch (kind) {
                  case JPEG_COMPRESSIBILITY ->
                      Optional.of(
                          new RewardSource.JpegCompressibility(
                              given.whole(RewardKeys.REWARD_QUALITY)));
                  case JPEG_INCOMPRESSIBILITY ->
                      Optional.of(
                          new RewardSource.JpegIncompressibility(
                              given.whole(RewardKeys.REWARD_QUALITY)));
                  case JAVA ->
                      Optional.of(
                          new RewardSource.JavaClass(
                              given.get(RewardKeys.REWARD_CLASS),
                              given.find(RewardKeys.REWARD_OPTIONS).orElse(Map.of())));
                  case ONNX -> onnx();
                  case GRPC -> grpc();
                  case HTTP ->
                      access(given.get(RewardKeys.REWARD_URL).startsWith("https:"))
                          .map(
                              access ->
                                  new RewardSource.Http(
                                      URI.create(given.get(RewardKeys.REWARD_URL)), access));
                  case PYTHON ->
                      Optional.of(
                          new RewardSource.Python(
                              given.get(RewardKeys.REWARD_FUNCTION),
                              given.find(RewardKeys.REWARD_OPTIONS).orElse(Map.of()),
                              given.get(RewardKeys.REWARD_DEVICE)));
                  case SUPPLIED -> Optional.of(new RewardSource.Supplied());
                  case SUM -> Optional.empty();
                });
  }

  private Optional<RewardSource> onnx() {
    Optional<String> className = given.find(RewardKeys.ONNX_CLASS);
    if (className.isPresent() && given.has(RewardKeys.ONNX_INDEX)) {
      given.add(
          Code.CONFLICT,
          given.later(RewardKeys.ONNX_INDEX, RewardKeys.ONNX_CLASS),
          "reward.output",
          "has both index and class; remove one");
      return Optional.empty();
    }
    if (given.get(RewardKeys.ONNX_TAKE) == RewardSource.Onnx.Take.MEAN) {
      String why = "does nothing where the mean of all is taken; remove it";
      given.refuse(RewardKeys.ONNX_CLASS, why);
      // The default is written out in what a run came to.
      if (given.whole(RewardKeys.ONNX_INDEX) != 0) {
        given.refuse(RewardKeys.ONNX_INDEX, why);
      }
    }
    return files
        .file(RewardKeys.REWARD_MODEL, given.get(RewardKeys.REWARD_MODEL))
        .map(
            model ->
                new RewardSource.Onnx(
                    model,
                    new RewardSource.Onnx.Input(
                        given.find(RewardKeys.ONNX_SIZE).map(Math::toIntExact),
                        given.get(RewardKeys.ONNX_LAYOUT),
                        given.get(RewardKeys.ONNX_MEAN),
                        given.get(RewardKeys.ONNX_DEVIATION)),
                    new RewardSource.Onnx.Output(
                        given.find(RewardKeys.ONNX_OUTPUT),
                        given.get(RewardKeys.ONNX_TAKE),
                        given.whole(RewardKeys.ONNX_INDEX),
                        className)));
  }

  private Optional<RewardSource> grpc() {
    for (String endpoint : given.get(RewardKeys.REWARD_ENDPOINTS)) {
      if (!ENDPOINT.matcher(endpoint).matches()) {
        given.add(
            Code.OUT_OF_RANGE,
            given.origin(RewardKeys.REWARD_ENDPOINTS),
            RewardKeys.REWARD_ENDPOINTS.path(),
            "'" + endpoint + "' does not fit; give host:port");
        return Optional.empty();
      }
    }
    return access(given.get(RewardKeys.REWARD_TLS))
        .map(
            access ->
                new RewardSource.Grpc(
                    given.get(RewardKeys.REWARD_ENDPOINTS),
                    given.find(RewardKeys.REWARD_SERVED).orElse(""),
                    access));
  }

  private Optional<RewardSource.Access> access(boolean tls) {
    Optional<String> ca = given.find(RewardKeys.REWARD_CA);
    if (ca.isPresent() && !tls) {
      given.refuse(RewardKeys.REWARD_CA, "needs TLS; give tls: true, or an https URL");
      return Optional.empty();
    }
    Optional<Path> file = ca.flatMap(name -> files.file(RewardKeys.REWARD_CA, name));
    return ca.isPresent() && file.isEmpty()
        ? Optional.empty()
        : Optional.of(new RewardSource.Access(tls, file, given.find(RewardKeys.REWARD_TOKEN)));
  }
}
