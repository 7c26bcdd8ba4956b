package dev.vard.api;

import io.micronaut.http.MediaType;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.responses.ApiResponse;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** The refusals of the OpenAPI document: each a {@link Rest.Problem}. */
final class Refusals {
  private Refusals() {}

  /** What every operation may answer. */
  @ApiResponse(
      responseCode = "400",
      description =
          "The request is wrong: `code` is INVALID_ARGUMENT, or FAILED_PRECONDITION where the run's"
              + " state does not allow it.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "401",
      description = "It does not say who asks, or the token is not known.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "403",
      description = "It comes from another site's page.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "406",
      description = "The answer's type is none that the caller accepts.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "413",
      description = "The body is too large.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "503",
      description = "The database does not answer: the same may succeed later.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @Retention(RetentionPolicy.RUNTIME)
  @Target(ElementType.TYPE)
  @interface Common {}

  @ApiResponse(
      responseCode = "409",
      description = "The request id was used for another request.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @ApiResponse(
      responseCode = "415",
      description = "The body is not application/json.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @Retention(RetentionPolicy.RUNTIME)
  @Target(ElementType.METHOD)
  @interface Creation {}

  @ApiResponse(
      responseCode = "404",
      description = "It is not there, or not this caller's.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @Retention(RetentionPolicy.RUNTIME)
  @Target(ElementType.METHOD)
  @interface NotFound {}

  @ApiResponse(
      responseCode = "429",
      description = "A limit: of an owner's runs, or of open streams.",
      content =
          @Content(
              mediaType = MediaType.APPLICATION_JSON_PROBLEM,
              schema = @Schema(implementation = Rest.Problem.class)))
  @Retention(RetentionPolicy.RUNTIME)
  @Target(ElementType.METHOD)
  @interface Limited {}
}
