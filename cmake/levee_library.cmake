# One function for every library of levee: levee_library(NAME SOURCES...) makes the target levee_NAME,
# its alias levee::NAME and the same name when it is exported. Nothing global is set.

if(LEVEE_INSTALL)
    include(GNUInstallDirs)  # it fills the cache with CMAKE_INSTALL_*, so only where something is installed
endif()

# Warnings are errors in levee's own top-level build, and never reach a user's targets.
function(levee_warnings target)
    if(NOT PROJECT_IS_TOP_LEVEL)
        return()
    endif()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # g++ 12 reports these falsely inside libstdc++ and Asio once it inlines.
        target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-restrict -Wno-array-bounds
                                                 -Wno-stringop-overflow -Wno-stringop-overread -Wno-mismatched-new-delete)
    endif()
endfunction()

function(levee_library name)
    set(target levee_${name})
    add_library(${target} ${ARGN})
    add_library(levee::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES
        EXPORT_NAME ${name}
        OUTPUT_NAME $<IF:$<STREQUAL:${name},levee>,levee,levee_${name}>
        VERSION ${levee_VERSION}
        SOVERSION ${levee_VERSION_MAJOR}.${levee_VERSION_MINOR}
        CXX_EXTENSIONS OFF
        POSITION_INDEPENDENT_CODE ON
        INSTALL_RPATH "$ORIGIN")  # shared libraries of levee find each other wherever they are installed
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_include_directories(${target}
        PUBLIC $<BUILD_INTERFACE:${levee_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        PRIVATE ${levee_SOURCE_DIR}/src)
    levee_warnings(${target})
    set_property(GLOBAL APPEND PROPERTY levee_targets ${target})
endfunction()
