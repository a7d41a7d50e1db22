# What is checked beside behaviour: headers, floors, format, clang, cases that must not compile, consumers.
# Each check is one CTest test over a script of this folder, which can also be called by hand.

set(checks ${CMAKE_CURRENT_SOURCE_DIR}/checks)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
cmake_host_system_information(RESULT processors QUERY NUMBER_OF_LOGICAL_CORES)

# levee_check(NAME [PROCESSORS n] [LABEL l] [TIMEOUT s] COMMAND ...)
function(levee_check name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "PROCESSORS;LABEL;TIMEOUT" "COMMAND")
    set(test ${LEVEE_TEST_KIND}.${name})
    add_test(NAME ${test} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${levee_SOURCE_DIR})
    set_tests_properties(${test} PROPERTIES
        LABELS "${arg_LABEL}" TIMEOUT "${arg_TIMEOUT}" PROCESSORS "${arg_PROCESSORS}")
endfunction()

# Each public header alone, twice: it includes what it uses and guards itself. Built, not run. One that a source of
# the library includes before anything else stands alone already, and floors.py sees that it guards itself.
set(come_first)
get_property(libraries GLOBAL PROPERTY levee_targets)
foreach(library IN LISTS libraries)
    get_target_property(sources ${library} SOURCES)
    foreach(source IN LISTS sources)
        file(STRINGS ${levee_SOURCE_DIR}/${source} first LIMIT_COUNT 1 REGEX "^#include ")
        if(first MATCHES "[<\"](levee/.*)[>\"]")
            list(APPEND come_first ${CMAKE_MATCH_1})
        endif()
    endforeach()
endforeach()
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${levee_SOURCE_DIR}/include ${levee_SOURCE_DIR}/include/levee/*.hpp)
list(REMOVE_ITEM headers ${come_first})
set(sources)
foreach(header IN LISTS headers)
    string(REGEX REPLACE "\\.hpp$" ".cpp" source alone/${header})
    file(GENERATE OUTPUT ${source} CONTENT "#include <${header}>\n#include <${header}>\n")
    list(APPEND sources ${CMAKE_CURRENT_BINARY_DIR}/${source})
endforeach()
add_library(levee_headers_alone OBJECT EXCLUDE_FROM_ALL ${sources})
target_link_libraries(levee_headers_alone PRIVATE levee::testing)
levee_warnings(levee_headers_alone)
add_dependencies(levee_tests levee_headers_alone)

levee_check(checks.floors LABEL checks TIMEOUT 60 COMMAND Python3::Interpreter ${checks}/floors.py .)
levee_check(checks.floors_find_planted_faults LABEL checks TIMEOUT 60
            COMMAND Python3::Interpreter ${checks}/floors_test.py)
levee_check(checks.tables_show_all_figures LABEL checks TIMEOUT 60
            COMMAND Python3::Interpreter ${checks}/tables_test.py)
levee_check(checks.readme LABEL checks TIMEOUT 60 COMMAND Python3::Interpreter ${checks}/readme.py .)
levee_check(checks.format LABEL checks TIMEOUT 120 COMMAND ${checks}/format)
levee_check(checks.clang_syntax LABEL checks TIMEOUT 1200 PROCESSORS ${processors}
            COMMAND Python3::Interpreter ${checks}/clang.py syntax ${CMAKE_BINARY_DIR})
levee_check(checks.clang_syntax_without_precompiled LABEL long TIMEOUT 1800 PROCESSORS ${processors}
            COMMAND Python3::Interpreter ${checks}/clang.py syntax_whole ${CMAKE_BINARY_DIR})
levee_check(checks.clang_tidy LABEL checks TIMEOUT 1200 PROCESSORS ${processors}
            COMMAND Python3::Interpreter ${checks}/clang.py tidy ${CMAKE_BINARY_DIR})

# Cases that must or must not compile.
set(compile_case ${CMAKE_CURRENT_SOURCE_DIR}/compile/check)
set(compiler ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only -I${levee_SOURCE_DIR}/include)
levee_check(compile.check_finds_planted_faults LABEL compile TIMEOUT 60 COMMAND ${compile_case}_test ${compiler})
foreach(kind IN ITEMS must_compile must_not_compile)
    file(GLOB cases CONFIGURE_DEPENDS compile/${kind}/*.cpp)
    foreach(case IN LISTS cases)
        get_filename_component(name ${case} NAME_WE)
        levee_check(compile.${kind}.${name} LABEL compile TIMEOUT 120
                    COMMAND ${compile_case} ${kind} ${case} ${compiler})
    endforeach()
endforeach()

levee_check(consumers LABEL consumer TIMEOUT 1500 PROCESSORS ${processors}
            COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consumer/check ${CMAKE_BINARY_DIR}/consumers)
