# Installs headers, libraries and the package that find_package(levee COMPONENTS ...) reads.
# Each component has its export file, so that a user of `core` needs neither Boost nor SQLite.

include(CMakePackageConfigHelpers)

set(levee_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/levee)
get_property(levee_targets GLOBAL PROPERTY levee_targets)

foreach(target IN LISTS levee_targets)
    get_target_property(component ${target} EXPORT_NAME)
    install(TARGETS ${target} EXPORT levee_${component}
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
            RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(EXPORT levee_${component} NAMESPACE levee:: DESTINATION ${levee_package_dir}
            FILE levee-${component}.cmake)
endforeach()

install(DIRECTORY include/levee DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# 0.x: a new minor version may change the interface.
configure_package_config_file(cmake/levee-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/levee-config.cmake
                              INSTALL_DESTINATION ${levee_package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/levee-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/levee-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/levee-config-version.cmake
        DESTINATION ${levee_package_dir})
