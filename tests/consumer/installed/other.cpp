// A second unit with every header in it: whatever is defined in a header twice shows when they are linked.
#include <all_headers.hpp>

std::string describe(levee::errc code);

std::string describe(levee::errc code) {
    return levee::make_error_code(code).message();
}
