package dev.vard.api;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import dev.vard.serve.RequestException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;

/** Refusals as google.rpc.Status, with details as https://google.aip.dev/193 has them. */
final class GrpcErrors {
  private static final String DOMAIN = "vard.dev";

  private GrpcErrors() {}

  static StatusRuntimeException of(RequestException e) {
    Code code =
        switch (e.code()) {
          case INVALID_ARGUMENT -> Code.INVALID_ARGUMENT;
          case NOT_FOUND -> Code.NOT_FOUND;
          case ALREADY_EXISTS -> Code.ALREADY_EXISTS;
          case FAILED_PRECONDITION -> Code.FAILED_PRECONDITION;
          case RESOURCE_EXHAUSTED -> Code.RESOURCE_EXHAUSTED;
          case DEADLINE_EXCEEDED -> Code.DEADLINE_EXCEEDED;
          case UNAUTHENTICATED -> Code.UNAUTHENTICATED;
          case PERMISSION_DENIED -> Code.PERMISSION_DENIED;
          case UNAVAILABLE -> Code.UNAVAILABLE;
        };
    Status.Builder status =
        Status.newBuilder()
            .setCode(code.getNumber())
            .setMessage(e.getMessage())
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder().setReason(e.code().name()).setDomain(DOMAIN).build()));
    e.field()
        .ifPresent(
            field ->
                status.addDetails(
                    Any.pack(
                        BadRequest.newBuilder()
                            .addFieldViolations(
                                BadRequest.FieldViolation.newBuilder()
                                    .setField(field)
                                    .setDescription(e.getMessage()))
                            .build())));
    return StatusProto.toStatusRuntimeException(status.build());
  }

  /** What a caller hears of a defect of ours: that it is one, and no more. */
  static StatusRuntimeException defect() {
    return StatusProto.toStatusRuntimeException(
        Status.newBuilder()
            .setCode(Code.INTERNAL_VALUE)
            .setMessage("this is a defect of vard; its log tells more")
            .build());
  }
}
