# The installable library: libmmsim-native.a (sim + arch + mm), its headers, pkg-config and CMake
# package; and the tests that use it as a stranger would.
include(CMakePackageConfigHelpers)

add_library(mmsim-native STATIC
  $<TARGET_OBJECTS:mmsim_sim> $<TARGET_OBJECTS:mmsim_arch> $<TARGET_OBJECTS:mmsim_mm>
  $<TARGET_OBJECTS:mmsim_workloads>)
add_library(mmsim::native ALIAS mmsim-native)
set_target_properties(mmsim-native PROPERTIES EXPORT_NAME native)
target_compile_definitions(mmsim-native INTERFACE _GNU_SOURCE MMSIM_ENGINE_NATIVE)
target_include_directories(mmsim-native INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS mmsim-native EXPORT mmsimTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/mmsim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT mmsimTargets NAMESPACE mmsim:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mmsim)
configure_file(cmake/mmsim-native.pc.in mmsim-native.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/mmsim-native.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_package_config_file(cmake/mmsimConfig.cmake.in mmsimConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mmsim)
write_basic_package_version_file(mmsimConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mmsimConfig.cmake ${CMAKE_BINARY_DIR}/mmsimConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/mmsim)

# A sanitized library needs the sanitizer at link time: its package is for builds without.
if(BUILD_TESTING AND NOT MMSIM_SANITIZE)
  add_test(NAME install.pkg_config COMMAND sh ${CMAKE_SOURCE_DIR}/tests/install/use_installed.sh
    pkg-config ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR} ${CMAKE_C_COMPILER})
  add_test(NAME install.cmake_package COMMAND sh ${CMAKE_SOURCE_DIR}/tests/install/use_installed.sh
    cmake ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR} ${CMAKE_C_COMPILER})
endif()
