package dev.vard.spec;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Decimals;
import dev.vard.spec.ValueType.Mappings;
import dev.vard.spec.ValueType.Options;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import dev.vard.spec.ValueType.Truth;
import dev.vard.spec.ValueType.Whole;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A JSON Schema (draft 2020-12) of specifications, made of the program's own list of keys, for
 * editors that complete and check YAML.
 *
 * <p>What it refuses, {@link SpecReader} refuses. The reverse does not hold: only the reader looks
 * at files, adds up a budget, and knows what {@link Feasibility} knows.
 */
public final class SpecSchema {
  private static final String DRAFT = "https://json-schema.org/draft/2020-12/schema";

  /** Holds a character that is no space. */
  private static final String NOT_BLANK = "[^ \\t-\\r]";

  private static final String REWARD = "reward";
  private static final String SUM = Choice.name(RewardSource.Kind.SUM);

  /** What one mapping of a specification may hold, and what must hold between its keys. */
  private static final class Section {
    private final Map<String, Object> properties = new LinkedHashMap<>();
    private final Map<String, Section> sections = new LinkedHashMap<>();
    private final Set<String> required = new LinkedHashSet<>();
    private final List<Object> rules = new ArrayList<>();

    /** The section at a path, made where there is none. */
    Section at(List<String> path) {
      Section section = this;
      for (String name : path) {
        section.properties.putIfAbsent(name, Map.of());
        section = section.sections.computeIfAbsent(name, none -> new Section());
      }
      return section;
    }

    /** Makes the last of these names required, and the sections on the way to it. */
    void require(List<String> path) {
      required.add(path.getFirst());
      if (path.size() > 1) {
        at(List.of(path.getFirst())).require(path.subList(1, path.size()));
      }
    }

    Map<String, Object> schema() {
      Map<String, Object> all = new LinkedHashMap<>(properties);
      sections.forEach((name, section) -> all.put(name, section.schema()));
      Map<String, Object> schema = new LinkedHashMap<>();
      schema.put("type", "object");
      schema.put("properties", all);
      if (!required.isEmpty()) {
        schema.put("required", List.copyOf(required));
      }
      schema.put("additionalProperties", false);
      if (!rules.isEmpty()) {
        schema.put("allOf", rules);
      }
      return schema;
    }
  }

  private SpecSchema() {}

  /** The schema as JSON text, with a line break at its end. */
  public static String json() {
    DefaultIndenter lines = new DefaultIndenter("  ", "\n");
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter().withObjectIndenter(lines).withArrayIndenter(lines);
    try {
      return new ObjectMapper().writer(printer).writeValueAsString(schema()) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a schema of plain values cannot be written", e);
    }
  }

  private static Map<String, Object> schema() {
    Map<String, Object> schema = new LinkedHashMap<>();
    schema.put("$schema", DRAFT);
    schema.put("title", "A specification for vard");
    schema.put(
        "description", "What `vard run` and `vard submit` take. Every key: specification.md.");
    schema.putAll(whole().schema());
    schema.put("$defs", Map.of("part", part().schema()));
    return schema;
  }

  private static Section whole() {
    Section root = section(Keys.ALL, List.of());
    root.at(List.of(REWARD)).rules.addAll(ofSums());
    ofOutput(root.at(List.of(REWARD)));
    oneOf(root, NamedFiles.PROMPTS_FILE, NamedFiles.PROMPTS_LIST);
    oneOf(root, CrossChecks.KL_BUDGET, CrossChecks.KL_WEIGHT);
    root.rules.add(
        rule(
            Map.of("not", Map.of("required", List.of("prompts"))),
            nested(CrossChecks.GUIDANCE.segments(), Map.of("const", 1))));
    return root;
  }

  /** A part of a sum, which holds no sums. */
  private static Section part() {
    List<Key<?>> keys = new ArrayList<>(RewardKeys.ALL);
    keys.removeAll(RewardKeys.OF_SUMS);
    Section part = section(keys, List.of(REWARD));
    part.rules.add(nested(List.of("kind"), Map.of("not", Map.of("const", SUM))));
    ofOutput(part);
    return part;
  }

  /**
   * @param above where the section stands that is described
   */
  private static Section section(List<Key<?>> keys, List<String> above) {
    Section root = new Section();
    Map<Key.Belongs, List<Key<?>>> belonging = new LinkedHashMap<>();
    for (Key<?> key : keys) {
      List<String> path = below(above, key);
      root.at(path.subList(0, path.size() - 1)).properties.put(path.getLast(), property(key));
      if (key.only().isPresent()) {
        belonging.computeIfAbsent(key.only().get(), none -> new ArrayList<>()).add(key);
      } else if (key.absent() instanceof Key.Absent.Refused<?>) {
        root.require(path);
      }
    }
    belonging.forEach((only, those) -> belong(root, above, only, those));
    return root;
  }

  /** Forbids keys where another has none of the values that they belong to, or demands them. */
  private static void belong(
      Section root, List<String> above, Key.Belongs only, List<Key<?>> keys) {
    Key<?> choice = Keys.at(only.path());
    List<String> where = choice.segments().subList(0, choice.segments().size() - 1);
    Section section = root.at(where.subList(above.size(), where.size()));
    List<String> others = new ArrayList<>(names(choice.type()));
    others.removeAll(only.values());
    Section forbidden = new Section();
    Section demanded = new Section();
    for (Key<?> key : keys) {
      List<String> path = below(where, key);
      forbidden.at(path.subList(0, path.size() - 1)).properties.put(path.getLast(), false);
      if (key.absent() instanceof Key.Absent.Refused<?>) {
        demanded.require(path);
      }
    }
    String name = choice.segments().getLast();
    section.rules.add(ifOneOf(name, others, open(forbidden)));
    if (!demanded.required.isEmpty()) {
      section.rules.add(ifOneOf(name, only.values(), open(demanded)));
    }
  }

  /** What a section demands, whatever else may stand in it. */
  private static Map<String, Object> open(Section section) {
    Map<String, Object> all = new LinkedHashMap<>(section.properties);
    section.sections.forEach((name, below) -> all.put(name, open(below)));
    Map<String, Object> schema = new LinkedHashMap<>();
    if (!all.isEmpty()) {
      schema.put("properties", all);
    }
    if (!section.required.isEmpty()) {
      schema.put("required", List.copyOf(section.required));
    }
    return schema;
  }

  private static Map<String, Object> ifOneOf(String name, List<String> values, Object then) {
    Map<String, Object> condition = new LinkedHashMap<>();
    condition.put("properties", Map.of(name, Map.of("enum", values)));
    condition.put("required", List.of(name));
    return rule(condition, then);
  }

  private static Map<String, Object> rule(Object condition, Object then) {
    // Map.of has another order in each process, and the file that is shipped is compared.
    Map<String, Object> rule = new LinkedHashMap<>();
    rule.put("if", condition);
    rule.put("then", then);
    return rule;
  }

  /** What a sum leaves to its parts, and what stands in parts only. */
  private static List<Object> ofSums() {
    Section ofParts = new Section();
    RewardKeys.OF_PARTS.forEach(key -> ofParts.properties.put(key.segments().getLast(), false));
    List<String> others = new ArrayList<>(names(RewardReading.KIND.type()));
    others.remove(SUM);
    return List.of(
        ifOneOf("kind", List.of(SUM), open(ofParts)),
        ifOneOf("kind", others, nested(List.of("normalise"), false)));
  }

  /** An ONNX model's score is a number's or a class's, or the mean of all. */
  private static void ofOutput(Section reward) {
    Section output = reward.at(List.of("output"));
    output.rules.add(Map.of("not", Map.of("required", List.of("index", "class"))));
    Section mean = new Section();
    mean.properties.put("index", Map.of("const", 0));
    mean.properties.put("class", false);
    output.rules.add(
        ifOneOf("take", List.of(Choice.name(RewardSource.Onnx.Take.MEAN)), open(mean)));
  }

  /** Of two keys of a section, one must be given, and not both. */
  private static void oneOf(Section root, Key<?> one, Key<?> other) {
    List<String> path = one.segments();
    root.at(path.subList(0, path.size() - 1))
        .rules
        .add(
            Map.of(
                "oneOf",
                List.of(
                    Map.of("required", List.of(path.getLast())),
                    Map.of("required", List.of(other.segments().getLast())))));
  }

  private static Map<String, Object> nested(List<String> path, Object schema) {
    Object inner = path.size() == 1 ? schema : nested(path.subList(1, path.size()), schema);
    return Map.of("properties", Map.of(path.getFirst(), inner));
  }

  private static List<String> below(List<String> above, Key<?> key) {
    return key.segments().subList(above.size(), key.segments().size());
  }

  private static <T> Map<String, Object> property(Key<T> key) {
    Map<String, Object> property = new LinkedHashMap<>();
    String meaning =
        key.meaning()
            + " Give "
            + key.type().describe()
            + "."
            + key.only().map(only -> " Only with " + only + ".").orElse("");
    switch (key.absent()) {
      case Key.Absent.Refused<T> refused -> property.put("description", meaning);
      case Key.Absent.Allowed<T>(String stands) ->
          property.put("description", meaning + " Without it: " + stands + ".");
      case Key.Absent.Default<T>(T value) -> {
        property.put("description", meaning);
        property.put("default", key.type().write(value));
      }
    }
    property.putAll(type(key.type()));
    return property;
  }

  private static List<String> names(ValueType<?> type) {
    if (type instanceof Choice<?> choice) {
      return Arrays.stream(choice.type().getEnumConstants()).map(Choice::name).toList();
    }
    throw new IllegalArgumentException(type + " is no choice");
  }

  private static Map<String, Object> type(ValueType<?> type) {
    Map<String, Object> schema = new LinkedHashMap<>();
    switch (type) {
      case Whole(long least, long most) -> {
        schema.put("type", "integer");
        schema.put("minimum", least);
        if (most != Long.MAX_VALUE) {
          schema.put("maximum", most);
        }
      }
      case Decimal(double least, boolean above, double most) -> {
        schema.put("type", "number");
        if (least != -Double.MAX_VALUE) {
          schema.put(above ? "exclusiveMinimum" : "minimum", least);
        }
        if (most != Double.MAX_VALUE) {
          schema.put("maximum", most);
        }
      }
      case Text(Pattern pattern, String form) -> {
        schema.put("type", "string");
        // Java's own classes of characters are none of ECMA-262, by which schemas' patterns go.
        if (!pattern.pattern().contains("\\p{java")) {
          schema.put("pattern", "^(?:" + pattern.pattern() + ")$");
        }
      }
      case Texts(String form, int longest, boolean distinct) -> {
        schema.put("type", "array");
        Map<String, Object> item = new LinkedHashMap<>();
        item.put("type", "string");
        item.put("pattern", NOT_BLANK);
        item.put("maxLength", longest);
        schema.put("items", item);
        schema.put("minItems", 1);
        if (distinct) {
          schema.put("uniqueItems", true);
        }
      }
      case Truth truth -> schema.put("type", "boolean");
      case Decimals(String form, int count, Decimal item) -> {
        schema.put("type", "array");
        schema.put("items", type(item));
        schema.put("minItems", count);
        schema.put("maxItems", count);
      }
      case Options options -> {
        schema.put("type", "object");
        schema.put("additionalProperties", Map.of("type", List.of("string", "number", "boolean")));
      }
      case Mappings(int most, String form) -> {
        schema.put("type", "array");
        schema.put("items", Map.of("$ref", "#/$defs/part"));
        schema.put("minItems", 1);
        schema.put("maxItems", most);
      }
      case Choice<?> choice -> schema.put("enum", names(choice));
    }
    return schema;
  }
}
