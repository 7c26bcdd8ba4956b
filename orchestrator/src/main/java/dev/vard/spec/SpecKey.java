package dev.vard.spec;

import java.lang.annotation.ElementType;
import java.lang.annotation.Repeatable;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A key of a specification, said once: on the component of the record that holds its value, or on
 * the method of an interface where several records hold it. Reader, writer, reference and JSON
 * Schema follow from that; what a key takes, from the component's type.
 *
 * <p>Without {@link #byDefault} and {@link #without} it must be given.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.RECORD_COMPONENT, ElementType.METHOD})
@Repeatable(SpecKey.Several.class)
@interface SpecKey {
  /** One sentence for the reference. */
  String text();

  /** Path below the section; where empty, the component's name in kebab-case. */
  String name() default "";

  /** The default, in YAML. */
  String byDefault() default "";

  /** What its absence means, for the reference: the value then depends on other keys. */
  String without() default "";

  /** Numbers that it takes, as {@code [1, 100]} or {@code (0, ∞)}. */
  String in() default Forms.ANY_NUMBER;

  /** Text that it takes. Patterns mean in ECMA-262, by which a JSON Schema's go, the same. */
  String pattern() default Forms.ANY;

  /** What a text or a list is, in words. */
  String form() default "text";

  /** Items of a list of numbers; most items of a list of sections. */
  int count() default 0;

  /** Characters of each text in a list. */
  int longest() default Forms.NAME_LENGTH;

  /** Whether a text that stands twice in a list is a mistake, rather than given double weight. */
  boolean distinct() default true;

  /** Kinds of the section that it belongs to, where the records do not say so. */
  String[] kinds() default {};

  /** What it is read as, where that is not the component's type. */
  Class<?> type() default void.class;

  /** Keys of one component, which holds the last one's value. */
  @Retention(RetentionPolicy.RUNTIME)
  @Target({ElementType.RECORD_COMPONENT, ElementType.METHOD})
  @interface Several {
    SpecKey[] value();
  }
}
