package dev.vard.floors;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Which package may use which: the floors that docs/architecture.md draws. */
class FloorsTest {
  private static final String[] ABOVE_SPECIFICATIONS = {
    "dev.vard.run..",
    "dev.vard.reward..",
    "dev.vard.worker..",
    "dev.vard.store..",
    "dev.vard.serve..",
    "dev.vard.api..",
    "dev.vard.cli.."
  };

  /**
   * Those of {@code run} and {@code serve} that write requests to a worker and read its answers.
   */
  private static final Set<String> SPEAK_TO_WORKERS =
      Set.of(
          "dev.vard.run.Actions",
          "dev.vard.run.Checkpoints",
          "dev.vard.run.Requests",
          "dev.vard.run.RunEngine",
          "dev.vard.run.RunException",
          "dev.vard.run.RunPlan",
          "dev.vard.run.Sampling",
          "dev.vard.run.SessionCheck",
          "dev.vard.run.StepMetrics",
          "dev.vard.serve.WorkerPool");

  private static JavaClasses program;

  @BeforeAll
  static void read() {
    program =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.vard");
  }

  @Test
  void thePackagesMakeNoCircle() {
    slices().matching("dev.vard.(*)..").should().beFreeOfCycles().check(program);
  }

  @Test
  void aReportKnowsNothingOfTheRunThatWroteIt() {
    noClasses()
        .that(resideInAnyPackage("dev.vard.report.."))
        .should()
        .dependOnClassesThat(resideInAnyPackage(ABOVE_SPECIFICATIONS))
        .check(program);
  }

  @Test
  void specificationsAndAlgorithmsKnowNothingOfWhatExecutesThem() {
    noClasses()
        .that(resideInAnyPackage("dev.vard.spec..", "dev.vard.algorithm.."))
        .should()
        .dependOnClassesThat(resideInAnyPackage(ABOVE_SPECIFICATIONS))
        .check(program);
  }

  @Test
  void onlyTheWorkersClientNamesARoad() {
    noClasses()
        .that(DescribedPredicate.not(resideInAnyPackage("dev.vard.worker..", "dev.vard.proto..")))
        .should()
        .dependOnClassesThat(resideInAnyPackage("jep.."))
        .orShould()
        .dependOnClassesThat()
        .haveNameMatching("dev\\.vard\\.proto\\.v1\\.WorkerServiceGrpc.*")
        .orShould()
        .dependOnClassesThat()
        .haveNameMatching("dev\\.vard\\.worker\\.(Jep|Grpc|Embedded|Local).*")
        .check(program);
  }

  @Test
  void messagesStayWithThoseWhoSendThem() {
    noClasses()
        .that(
            resideInAnyPackage(
                "dev.vard.spec..",
                "dev.vard.algorithm..",
                "dev.vard.report..",
                "dev.vard.reward",
                "dev.vard.run..",
                "dev.vard.serve..",
                "dev.vard.store..",
                "dev.vard.statistics..",
                "dev.vard.files..",
                "dev.vard.text.."))
        .and(DescribedPredicate.not(ofAnyOf(SPEAK_TO_WORKERS)))
        .should()
        .dependOnClassesThat(resideInAnyPackage("dev.vard.proto..", "com.google.protobuf.."))
        .check(program);
  }

  /** The classes of these names, with all that is nested in them. */
  private static DescribedPredicate<JavaClass> ofAnyOf(Set<String> names) {
    return DescribedPredicate.describe(
        "of " + names, type -> names.contains(type.getName().replaceFirst("\\$.*", "")));
  }
}
