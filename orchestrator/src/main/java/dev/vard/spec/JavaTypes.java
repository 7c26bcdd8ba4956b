package dev.vard.spec;

import dev.vard.spec.AskingSpec.Range;
import dev.vard.spec.ValueType.Choice;
import dev.vard.spec.ValueType.Decimal;
import dev.vard.spec.ValueType.Decimals;
import dev.vard.spec.ValueType.Mappings;
import dev.vard.spec.ValueType.Options;
import dev.vard.spec.ValueType.Text;
import dev.vard.spec.ValueType.Texts;
import dev.vard.spec.ValueType.Truth;
import dev.vard.spec.ValueType.Whole;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Pattern;

/** Between the values that keys take and the types of the components that hold them. */
final class JavaTypes {
  private static final Set<Class<?>> WHOLE =
      Set.of(int.class, Integer.class, long.class, OptionalInt.class, OptionalLong.class);
  private static final Set<Class<?>> DECIMAL =
      Set.of(double.class, OptionalDouble.class, Duration.class);

  private JavaTypes() {}

  /** What a key takes whose value a component of this type holds. */
  static ValueType<?> taken(Type type, SpecKey key) {
    Type one = key.type() == void.class ? type : key.type();
    if (raw(one) == Optional.class) {
      one = argument(one);
    }
    Class<?> raw = raw(one);
    if (WHOLE.contains(raw)) {
      return whole(key.in());
    } else if (DECIMAL.contains(raw)) {
      return decimal(key.in());
    } else if (raw == boolean.class) {
      return new Truth();
    } else if (raw.isEnum()) {
      return choice(raw);
    } else if (raw == Map.class) {
      return new Options(key.form());
    } else if (raw == Range.class || raw == List.class && argument(one) == Double.class) {
      return new Decimals(key.form(), key.count(), decimal(key.in()));
    } else if (raw == List.class && argument(one) == String.class) {
      return new Texts(key.form(), key.longest(), key.distinct());
    } else if (raw == List.class) {
      return new Mappings(key.count(), key.form());
    }
    return new Text(Pattern.compile(key.pattern()), key.form());
  }

  private static Whole whole(String interval) {
    String[] ends = ends(interval);
    return new Whole(
        Long.parseLong(ends[0]), ends[1].equals("∞") ? Long.MAX_VALUE : Long.parseLong(ends[1]));
  }

  private static Decimal decimal(String interval) {
    String[] ends = ends(interval);
    boolean bounded = !ends[0].equals("-∞");
    return new Decimal(
        bounded ? Double.parseDouble(ends[0]) : -Double.MAX_VALUE,
        bounded && interval.startsWith("("),
        ends[1].equals("∞") ? Double.MAX_VALUE : Double.parseDouble(ends[1]));
  }

  private static String[] ends(String interval) {
    return interval.substring(1, interval.length() - 1).split(", ");
  }

  /** Safe: the class is an enum's. */
  @SuppressWarnings({"unchecked", "rawtypes"})
  private static ValueType<?> choice(Class<?> constants) {
    return new Choice(constants);
  }

  /** What a component holds of a key's value, or of its absence. */
  static Object held(Type type, Optional<?> value) {
    Class<?> raw = raw(type);
    if (raw == Optional.class) {
      return value.map(one -> held(argument(type), one));
    } else if (raw == OptionalInt.class) {
      return value.isEmpty() ? OptionalInt.empty() : OptionalInt.of(integer(value.get()));
    } else if (raw == OptionalLong.class) {
      return value.isEmpty() ? OptionalLong.empty() : OptionalLong.of((Long) value.get());
    } else if (raw == OptionalDouble.class) {
      return value.isEmpty() ? OptionalDouble.empty() : OptionalDouble.of((Double) value.get());
    } else if (value.isPresent()) {
      return held(type, value.get());
    } else if (raw == String.class) {
      return "";
    } else if (raw == List.class) {
      return List.of();
    } else if (raw == Map.class) {
      return Map.of();
    }
    throw new IllegalStateException(type + " holds no absence");
  }

  private static Object held(Type type, Object value) {
    Class<?> raw = raw(type);
    if (raw == int.class || raw == Integer.class) {
      return integer(value);
    } else if (raw == Duration.class) {
      return Duration.ofNanos(Math.round((Double) value * 1e9));
    } else if (raw == Path.class) {
      return Path.of((String) value);
    } else if (raw == URI.class) {
      return URI.create((String) value);
    } else if (raw == Range.class && value instanceof List<?> ends) {
      return new Range((Double) ends.getFirst(), (Double) ends.getLast());
    }
    return value;
  }

  /** The key's value; empty where what is held stands for its absence. */
  static Optional<Object> value(Object held) {
    return switch (held) {
      case Optional<?> one -> one.flatMap(JavaTypes::value);
      case OptionalInt one ->
          one.isPresent() ? Optional.of((long) one.getAsInt()) : Optional.empty();
      case OptionalLong one -> one.isPresent() ? Optional.of(one.getAsLong()) : Optional.empty();
      case OptionalDouble one ->
          one.isPresent() ? Optional.of(one.getAsDouble()) : Optional.empty();
      case String text when text.isEmpty() -> Optional.empty();
      case List<?> list when list.isEmpty() -> Optional.empty();
      case Map<?, ?> map when map.isEmpty() -> Optional.empty();
      case Integer number -> Optional.of((long) number);
      case Duration duration -> Optional.of(duration.toNanos() / 1e9);
      case Path path -> Optional.of(path.toString());
      case URI uri -> Optional.of(uri.toString());
      case Range(double least, double most) -> Optional.of(List.of(least, most));
      default -> Optional.of(held);
    };
  }

  private static int integer(Object value) {
    return Math.toIntExact((Long) value);
  }

  private static Class<?> raw(Type type) {
    return type instanceof ParameterizedType several
        ? (Class<?>) several.getRawType()
        : (Class<?>) type;
  }

  static Type argument(Type type) {
    return ((ParameterizedType) type).getActualTypeArguments()[0];
  }
}
