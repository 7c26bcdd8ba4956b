package dev.vard.spec;

import dev.vard.spec.SpecProblem.Code;
import dev.vard.spec.Tree.Scalar;
import dev.vard.spec.Tree.Scalar.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * What a key takes.
 *
 * @param <T> what it becomes
 */
sealed interface ValueType<T> {

  /** Completes "give …", and stands in the reference. */
  String describe();

  /** The value, or why it is none. */
  T read(Tree tree) throws Mismatch;

  /** The value as YAML's own types. */
  default Object write(T value) {
    return value;
  }

  /** A value that a key does not take. */
  @SuppressWarnings("serial")
  final class Mismatch extends Exception {
    private final Code code;

    Mismatch(Code code, String message) {
      super(message, null, false, false);
      this.code = code;
    }

    Code code() {
      return code;
    }
  }

  private static Mismatch wrongType(Tree tree) {
    return new Mismatch(Code.WRONG_TYPE, tree.describe());
  }

  /** Whole numbers, both ends included. */
  record Whole(long least, long most) implements ValueType<Long> {
    @Override
    public String describe() {
      return most == Long.MAX_VALUE
          ? "a whole number of at least " + least
          : "a whole number from " + least + " to " + most;
    }

    @Override
    public Long read(Tree tree) throws Mismatch {
      long value = Numbers.whole(tree);
      if (value < least) {
        throw new Mismatch(Code.OUT_OF_RANGE, value + " is below " + least);
      }
      if (value > most) {
        throw new Mismatch(Code.OUT_OF_RANGE, value + " is above " + most);
      }
      return value;
    }
  }

  /**
   * Finite numbers, the upper end included.
   *
   * @param above whether the lower end is excluded
   */
  record Decimal(double least, boolean above, double most) implements ValueType<Double> {
    @Override
    public String describe() {
      if (most == Double.MAX_VALUE && least == -Double.MAX_VALUE) {
        return "a number";
      }
      if (most == Double.MAX_VALUE) {
        return "a number " + (above ? "above " : "of at least ") + plain(least);
      }
      return above
          ? "a number above " + plain(least) + " and at most " + plain(most)
          : "a number from " + plain(least) + " to " + plain(most);
    }

    @Override
    public Double read(Tree tree) throws Mismatch {
      double value = Numbers.single(tree);
      String text = ((Scalar) tree).text();
      if (value < least || above && value == least) {
        throw new Mismatch(
            Code.OUT_OF_RANGE, text + " is " + (above ? "not above " : "below ") + plain(least));
      }
      if (value > most) {
        throw new Mismatch(Code.OUT_OF_RANGE, text + " is above " + plain(most));
      }
      return value;
    }

    private static String plain(double number) {
      return number == Math.rint(number) ? Long.toString((long) number) : Double.toString(number);
    }
  }

  /**
   * Text of a form.
   *
   * @param form the form in words
   */
  record Text(Pattern pattern, String form) implements ValueType<String> {
    @Override
    public String describe() {
      return form;
    }

    @Override
    public String read(Tree tree) throws Mismatch {
      if (!(tree instanceof Scalar scalar)) {
        throw wrongType(tree);
      }
      if (scalar.kind() != Kind.TEXT) {
        throw new Mismatch(Code.WRONG_TYPE, tree.describe() + ", not text (quotes make it text)");
      }
      if (!pattern.matcher(scalar.text()).matches()) {
        throw new Mismatch(Code.OUT_OF_RANGE, "'" + scalar.text() + "' does not fit");
      }
      return scalar.text();
    }
  }

  /**
   * At least one text.
   *
   * @param longest characters of each
   * @param distinct whether one that is given twice is a mistake, rather than given double weight
   */
  record Texts(String form, int longest, boolean distinct) implements ValueType<List<String>> {
    @Override
    public String describe() {
      return form;
    }

    @Override
    public List<String> read(Tree tree) throws Mismatch {
      if (!(tree instanceof Tree.Sequence sequence)) {
        throw wrongType(tree);
      }
      if (sequence.items().isEmpty()) {
        throw new Mismatch(Code.OUT_OF_RANGE, "the list is empty");
      }
      List<String> texts = new ArrayList<>();
      for (Tree item : sequence.items()) {
        if (!(item instanceof Scalar scalar && scalar.kind() == Kind.TEXT)) {
          throw new Mismatch(
              Code.WRONG_TYPE,
              "item "
                  + (texts.size() + 1)
                  + ": "
                  + item.describe()
                  + ", not text (quotes make it text)");
        }
        String place = "item " + (texts.size() + 1);
        if (scalar.text().isBlank()) {
          throw new Mismatch(Code.OUT_OF_RANGE, place + " is blank");
        }
        int length = PromptFile.length(scalar.text());
        if (length > longest) {
          throw new Mismatch(
              Code.OUT_OF_RANGE,
              "%s has %d characters, and %d are the most".formatted(place, length, longest));
        }
        if (distinct && texts.contains(scalar.text())) {
          throw new Mismatch(
              Code.CONFLICT, place + " is '" + scalar.text() + "' again, which does nothing");
        }
        texts.add(scalar.text());
      }
      return List.copyOf(texts);
    }
  }

  /** Yes or no. */
  record Truth() implements ValueType<Boolean> {
    @Override
    public String describe() {
      return "true or false";
    }

    @Override
    public Boolean read(Tree tree) throws Mismatch {
      if (!(tree instanceof Scalar scalar && scalar.kind() == Kind.BOOLEAN)) {
        throw wrongType(tree);
      }
      return Boolean.parseBoolean(scalar.text());
    }
  }

  /**
   * So many finite numbers.
   *
   * @param form what they are, in words
   * @param item what each is
   */
  record Decimals(String form, int count, Decimal item) implements ValueType<List<Double>> {
    @Override
    public String describe() {
      return form;
    }

    @Override
    public List<Double> read(Tree tree) throws Mismatch {
      if (!(tree instanceof Tree.Sequence sequence)) {
        throw wrongType(tree);
      }
      if (sequence.items().size() != count) {
        throw new Mismatch(Code.OUT_OF_RANGE, "the list has " + sequence.items().size() + " items");
      }
      List<Double> numbers = new ArrayList<>();
      for (Tree number : sequence.items()) {
        try {
          numbers.add(item.read(number));
        } catch (Mismatch e) {
          throw new Mismatch(e.code(), "item " + (numbers.size() + 1) + ": " + e.getMessage());
        }
      }
      return List.copyOf(numbers);
    }
  }

  /** Names and plain values, for somebody else to understand. */
  record Options(String form) implements ValueType<Map<String, Object>> {
    @Override
    public String describe() {
      return form;
    }

    @Override
    public Map<String, Object> read(Tree tree) throws Mismatch {
      if (!(tree instanceof Tree.Mapping mapping)) {
        throw wrongType(tree);
      }
      Map<String, Object> options = new LinkedHashMap<>();
      for (Map.Entry<String, Tree> entry : mapping.entries().entrySet()) {
        options.put(entry.getKey(), value(entry.getKey(), entry.getValue()));
      }
      return options;
    }

    private static Object value(String name, Tree tree) throws Mismatch {
      if (!(tree instanceof Scalar scalar)) {
        throw new Mismatch(Code.WRONG_TYPE, name + ": " + tree.describe() + ", not a plain value");
      }
      return switch (scalar.kind()) {
        case TEXT -> scalar.text();
        case BOOLEAN -> Boolean.parseBoolean(scalar.text());
        case WHOLE -> Numbers.whole(scalar);
        case DECIMAL -> Numbers.decimal(scalar);
        case NOTHING -> throw new Mismatch(Code.WRONG_TYPE, name + ": " + tree.describe());
      };
    }
  }

  /**
   * Mappings that are read by themselves.
   *
   * @param most a list of more is refused before any of them is read
   */
  record Mappings(int most, String form) implements ValueType<List<Tree.Mapping>> {
    @Override
    public String describe() {
      return form;
    }

    @Override
    public List<Tree.Mapping> read(Tree tree) throws Mismatch {
      if (!(tree instanceof Tree.Sequence sequence)) {
        throw wrongType(tree);
      }
      if (sequence.items().isEmpty()) {
        throw new Mismatch(Code.OUT_OF_RANGE, "the list is empty");
      }
      if (sequence.items().size() > most) {
        throw new Mismatch(
            Code.OUT_OF_RANGE, "has " + sequence.items().size() + " items, which is above " + most);
      }
      List<Tree.Mapping> mappings = new ArrayList<>();
      for (Tree item : sequence.items()) {
        if (!(item instanceof Tree.Mapping mapping)) {
          throw new Mismatch(
              Code.WRONG_TYPE, "item " + (mappings.size() + 1) + ": " + item.describe());
        }
        mappings.add(mapping);
      }
      return List.copyOf(mappings);
    }
  }

  /** One of a few names: an enum's constants in kebab-case. */
  record Choice<E extends Enum<E>>(Class<E> type) implements ValueType<E> {
    static String name(Enum<?> constant) {
      return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    @Override
    public String describe() {
      List<String> names = Arrays.stream(type.getEnumConstants()).map(Choice::name).toList();
      String last = names.getLast();
      return names.size() == 1
          ? last
          : String.join(", ", names.subList(0, names.size() - 1)) + " or " + last;
    }

    @Override
    public E read(Tree tree) throws Mismatch {
      if (!(tree instanceof Scalar scalar)) {
        throw wrongType(tree);
      }
      for (E constant : type.getEnumConstants()) {
        if (name(constant).equals(scalar.text())) {
          return constant;
        }
      }
      throw new Mismatch(Code.OUT_OF_RANGE, "'" + scalar.text() + "' is unknown");
    }

    @Override
    public Object write(E value) {
      return name(value);
    }
  }
}
