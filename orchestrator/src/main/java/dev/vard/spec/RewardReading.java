package dev.vard.spec;

import dev.vard.spec.RewardSource.Kind;
import dev.vard.spec.RewardSpec.Part;
import dev.vard.spec.SpecProblem.Code;
import dev.vard.spec.ValueType.Decimals;
import dev.vard.spec.ValueType.Mappings;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import dev.vard.spec.ValueType.Truth;
import dev.vard.spec.ValueType.Whole;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Reads the reward, or one part of a sum. */
final class RewardReading {
  static final Key<?> KIND = Keys.at("reward.kind");
  static final Key<?> NORMALISE = Keys.at("reward.normalise");
  static final Key<List<Tree.Mapping>> PARTS = Keys.at("reward.parts", Mappings.class);
  static final Key<String> CA = Keys.at("reward.ca", Text.class);
  static final Key<String> TOKEN = Keys.at("reward.token-env", Text.class);
  static final Key<Long> INDEX = Keys.at("reward.output.index", Whole.class);
  static final Key<String> CLASS = Keys.at("reward.output.class", Text.class);
  private static final Key<String> MODEL = Keys.at("reward.model", Text.class);
  private static final Key<List<Double>> RANGE = Keys.at("reward.range", Decimals.class);
  private static final Key<List<String>> ENDPOINTS = Keys.at("reward.endpoints", Texts.class);
  private static final Key<Boolean> TLS = Keys.at("reward.tls", Truth.class);
  private static final Key<String> URL = Keys.at("reward.url", Text.class);

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

  /** The reward's parts, or none where it has an error. */
  List<Part> parts() {
    int before = given.problems().size();
    List<Part> parts = new ArrayList<>();
    if (!is(Kind.SUM)) {
      given.refuse(NORMALISE, "belongs to the parts of a sum; remove it");
      part().ifPresent(parts::add);
    } else {
      for (Key<?> key : RewardKeys.OF_PARTS) {
        given.refuse(key, "belongs to the parts of a sum; give it there");
      }
      for (Tree.Mapping mapping : given.find(PARTS).orElse(List.of())) {
        String name = PARTS.path() + "[" + parts.size() + "]";
        Given part = new Given(given.source(), name);
        new RewardReading(around, files.of(part), part).readPart(mapping).ifPresent(parts::add);
        given.problems().addAll(part.problems());
      }
      namesDiffer(parts);
    }
    return given.problems().size() > before || given.hasProblem(Given.WHOLE) ? List.of() : parts;
  }

  private boolean is(Kind kind) {
    return given.value(KIND.path()).filter(kind::equals).isPresent();
  }

  private Optional<Part> readPart(Tree.Mapping mapping) {
    given.collectPart(mapping);
    RewardKeys.ALL.forEach(given::settle);
    for (Key<?> key : RewardKeys.OF_SUMS) {
      given.refuse(key, "belongs to the whole reward; give it there");
    }
    if (is(Kind.SUM)) {
      given.refuse(KIND, "a sum holds no sums; give their parts");
    }
    return part();
  }

  private void namesDiffer(List<Part> parts) {
    List<String> names = new ArrayList<>();
    for (Part part : parts) {
      if (names.contains(part.name())) {
        given.add(
            Code.CONFLICT,
            given.origin(PARTS),
            PARTS.path(),
            "two parts are called " + part.name() + "; give each a name of its own");
      }
      names.add(part.name());
    }
  }

  private Optional<Part> part() {
    Binder binder = new Binder(given);
    Optional<RewardSource> source =
        !given.hasProblem(Given.WHOLE) && checkSource()
            ? Optional.of(binder.bind(RewardSource.class, Given.WHOLE))
            : Optional.empty();
    checkRange();
    source.ifPresent(new Permissions(around, given)::permit);
    if (source.isEmpty() || given.hasProblem(Given.WHOLE)) {
      return Optional.empty();
    }
    Defaults.putReward(given, source.get());
    return Optional.of(binder.bind(Part.class, Given.WHOLE));
  }

  private void checkRange() {
    if (given.find(RANGE).filter(ends -> ends.getFirst() >= ends.getLast()).isPresent()) {
      given.refuse(RANGE, "the least is not below the most; give them in that order");
    }
  }

  /** Whether the source can be made; files then stand for where they are. */
  private boolean checkSource() {
    return switch ((Kind) given.value(KIND.path()).orElseThrow()) {
      case JPEG_COMPRESSIBILITY, JPEG_INCOMPRESSIBILITY, JAVA, PYTHON, SUPPLIED -> true;
      case ONNX -> checkOnnx();
      case GRPC -> checkEndpoints() && checkCa();
      case HTTP -> {
        given.put(TLS, given.get(URL).startsWith("https:"));
        yield checkCa();
      }
      case SUM -> false;
    };
  }

  private boolean checkOnnx() {
    if (given.find(CLASS).isPresent() && given.has(INDEX)) {
      given.add(
          Code.CONFLICT,
          given.later(INDEX, CLASS),
          "reward.output",
          "has both index and class; remove one");
      return false;
    }
    if (given.value("reward.output.take").equals(Optional.of(RewardSource.Onnx.Take.MEAN))) {
      String why = "does nothing where the mean of all is taken; remove it";
      given.refuse(CLASS, why);
      // The default is written out in what a run came to.
      if (given.whole(INDEX) != 0) {
        given.refuse(INDEX, why);
      }
    }
    return locate(MODEL);
  }

  private boolean checkEndpoints() {
    for (String endpoint : given.get(ENDPOINTS)) {
      if (!ENDPOINT.matcher(endpoint).matches()) {
        given.add(
            Code.OUT_OF_RANGE,
            given.origin(ENDPOINTS),
            ENDPOINTS.path(),
            "'" + endpoint + "' does not fit; give host:port");
        return false;
      }
    }
    return true;
  }

  private boolean checkCa() {
    if (given.find(CA).isEmpty()) {
      return true;
    }
    if (!given.get(TLS)) {
      given.refuse(CA, "needs TLS; give tls: true, or an https URL");
      return false;
    }
    return locate(CA);
  }

  private boolean locate(Key<String> key) {
    Optional<Path> file = files.file(key, given.get(key));
    file.ifPresent(found -> given.put(key, found.toString()));
    return file.isPresent();
  }
}
