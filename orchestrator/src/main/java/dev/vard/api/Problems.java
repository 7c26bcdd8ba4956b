package dev.vard.api;

import dev.vard.serve.RequestException;
import io.micronaut.context.annotation.Requires;
import io.micronaut.core.bind.annotation.Bindable;
import io.micronaut.core.convert.exceptions.ConversionErrorException;
import io.micronaut.http.HttpHeaders;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.HttpStatus;
import io.micronaut.http.MediaType;
import io.micronaut.http.MutableHttpResponse;
import io.micronaut.http.server.exceptions.ExceptionHandler;
import io.micronaut.http.server.exceptions.response.Error;
import io.micronaut.http.server.exceptions.response.ErrorContext;
import io.micronaut.http.server.exceptions.response.ErrorResponseProcessor;
import jakarta.inject.Singleton;
import java.util.Optional;

/**
 * Every refusal as {@code application/problem+json}: ours, and those of the HTTP server itself. The
 * status follows google.rpc's mapping, so both APIs say the same.
 */
@Singleton
@Requires(property = ApiProperties.ENABLED)
final class Problems
    implements ErrorResponseProcessor<Rest.Problem>,
        ExceptionHandler<RequestException, HttpResponse<?>> {

  /** What the HTTP server refuses. */
  @Override
  public MutableHttpResponse<Rest.Problem> processResponse(
      ErrorContext error, MutableHttpResponse<?> response) {
    HttpStatus status = response.status();
    if (error.getRootCause().orElse(null) instanceof ConversionErrorException e
        && Number.class.isAssignableFrom(e.getArgument().getWrapperType())) {
      String field =
          e.getArgument()
              .getAnnotationMetadata()
              .stringValue(Bindable.class)
              .orElse(e.getArgument().getName());
      return write(
          response,
          problem(status, field + ": give a whole number", code(status), Optional.of(field)));
    }
    return write(response, problem(status, detail(status, error), code(status), Optional.empty()));
  }

  /** What we refuse. */
  @Override
  public HttpResponse<?> handle(
      @SuppressWarnings("rawtypes") HttpRequest request, RequestException e) {
    return refuse(e);
  }

  static MutableHttpResponse<Rest.Problem> refuse(RequestException e) {
    HttpStatus status =
        switch (e.code()) {
          case INVALID_ARGUMENT, FAILED_PRECONDITION -> HttpStatus.BAD_REQUEST;
          case UNAUTHENTICATED -> HttpStatus.UNAUTHORIZED;
          case PERMISSION_DENIED -> HttpStatus.FORBIDDEN;
          case NOT_FOUND -> HttpStatus.NOT_FOUND;
          case ALREADY_EXISTS -> HttpStatus.CONFLICT;
          case RESOURCE_EXHAUSTED -> HttpStatus.TOO_MANY_REQUESTS;
          case DEADLINE_EXCEEDED -> HttpStatus.REQUEST_TIMEOUT;
          case UNAVAILABLE -> HttpStatus.SERVICE_UNAVAILABLE;
        };
    MutableHttpResponse<?> response = HttpResponse.status(status);
    if (status == HttpStatus.UNAUTHORIZED) {
      response.header(HttpHeaders.WWW_AUTHENTICATE, "Bearer");
    }
    return write(response, problem(status, e.getMessage(), e.code().name(), e.field()));
  }

  private static MutableHttpResponse<Rest.Problem> write(
      MutableHttpResponse<?> response, Rest.Problem problem) {
    MutableHttpResponse<Rest.Problem> answer = response.body(problem);
    return answer.contentType(MediaType.APPLICATION_JSON_PROBLEM_TYPE);
  }

  private static Rest.Problem problem(
      HttpStatus status, String detail, String code, Optional<String> field) {
    return new Rest.Problem(
        "about:blank", status.getReason(), status.getCode(), detail, code, field);
  }

  private static String detail(HttpStatus status, ErrorContext error) {
    if (status.getCode() >= 500) {
      // What went wrong inside is for the log.
      return "this is a defect of vard; its log tells more";
    }
    if (status == HttpStatus.NOT_FOUND) {
      return "there is nothing at this address: /openapi.yaml describes what there is";
    }
    return error.getErrors().stream().map(Error::getMessage).findFirst().orElse(status.getReason());
  }

  private static String code(HttpStatus status) {
    return switch (status) {
      case UNAUTHORIZED -> "UNAUTHENTICATED";
      case FORBIDDEN -> "PERMISSION_DENIED";
      case NOT_FOUND -> "NOT_FOUND";
      case METHOD_NOT_ALLOWED -> "UNIMPLEMENTED";
      case REQUEST_TIMEOUT -> "DEADLINE_EXCEEDED";
      case REQUEST_ENTITY_TOO_LARGE -> "RESOURCE_EXHAUSTED";
      case SERVICE_UNAVAILABLE -> "UNAVAILABLE";
      default -> status.getCode() < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
    };
  }
}
