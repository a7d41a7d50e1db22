# What the consumer projects share. They are foreign projects: nothing of levee's build is used here.

# all_headers(TARGET INCLUDE_FOLDER FIRST FOLDER...): TARGET may include all_headers.hpp: FIRST (the hostile
# macros), then every public header of these folders of levee.
function(all_headers target include_folder first)
    set(text "#include \"${first}\"\n")
    foreach(folder IN LISTS ARGN)
        file(GLOB_RECURSE headers RELATIVE ${include_folder} ${include_folder}/levee/${folder}/*.hpp)
        foreach(header IN LISTS headers)
            string(APPEND text "#include <${header}>\n")
        endforeach()
    endforeach()
    if(NOT text MATCHES "<levee/")
        message(FATAL_ERROR "no levee headers in ${include_folder}")
    endif()
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/all_headers.hpp "${text}")
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../support)
endfunction()

# Installed headers count as the system's otherwise, and their warnings would not be seen.
set(CMAKE_NO_SYSTEM_FROM_IMPORTED ON)

function(strict_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
endfunction()
