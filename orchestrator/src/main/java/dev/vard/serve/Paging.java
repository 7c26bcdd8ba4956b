package dev.vard.serve;

import dev.vard.serve.RequestException.Code;
import dev.vard.serve.Runs.Page;
import dev.vard.serve.Runs.PageRequest;
import java.util.List;
import java.util.function.Function;

/** Pages of lists. */
final class Paging {
  private static final int DEFAULT_PAGE = 50;
  private static final int MAX_PAGE = 1_000;

  private Paging() {}

  /**
   * How many items a page has at most.
   *
   * @throws RequestException INVALID_ARGUMENT
   */
  static int size(PageRequest page) {
    if (page.size() < 0 || page.size() > MAX_PAGE) {
      throw new RequestException(
          Code.INVALID_ARGUMENT,
          "page_size",
          "page_size is " + page.size() + "; give at most " + MAX_PAGE + ", or 0 for the default");
    }
    return page.size() == 0 ? DEFAULT_PAGE : page.size();
  }

  /**
   * A page of a list that is ordered by a key of its items. What came into the list, or went, since
   * the page before does not move the others.
   */
  static <T> Page<T> part(
      List<T> items, PageRequest page, List<String> question, Function<T, String> key) {
    int size = size(page);
    int first = 0;
    if (!page.token().isEmpty()) {
      String last = PageToken.read(question, page.token());
      while (first < items.size() && key.apply(items.get(first)).compareTo(last) <= 0) {
        first++;
      }
    }
    List<T> part = items.subList(first, Math.min(items.size(), first + size));
    boolean more = first + size < items.size();
    return new Page<>(
        List.copyOf(part), more ? PageToken.write(question, key.apply(part.getLast())) : "");
  }
}
