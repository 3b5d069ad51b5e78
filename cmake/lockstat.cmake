# bin/mmsim-native-lockstat: mmsim-native with the hooks of lock statistics compiled into sim, arch and mm
# (-DMMSIM_LOCK_STAT, include/mmsim/lock_stat.h), so that in mmsim-native they cost nothing. --lock-stat
# runs it. Builds with other checks have the hooks in mmsim-native itself.
if(MMSIM_DEBUG_LOCKS OR MMSIM_SANITIZE)
  return()
endif()

foreach(layer sim arch mm)
  get_target_property(sources mmsim_${layer} SOURCES)
  get_target_property(libraries mmsim_${layer} LINK_LIBRARIES)
  list(TRANSFORM libraries REPLACE "^mmsim_(sim|arch|mm)$" "mmsim_lockstat_\\1")
  add_library(mmsim_lockstat_${layer} STATIC ${sources})
  target_compile_definitions(mmsim_lockstat_${layer} PUBLIC MMSIM_LOCK_STAT)
  target_link_libraries(mmsim_lockstat_${layer} PUBLIC ${libraries})
endforeach()

# The layers above take no locks themselves: their objects are the same.
add_executable(program-mmsim-native-lockstat sim/cli/main/native.c
  $<TARGET_OBJECTS:mmsim_cli> $<TARGET_OBJECTS:mmsim_workloads> $<TARGET_OBJECTS:mmsim_trace>)
set_target_properties(program-mmsim-native-lockstat PROPERTIES OUTPUT_NAME mmsim-native-lockstat)
add_dependencies(program-mmsim-native-lockstat mmsim_version)
target_include_directories(program-mmsim-native-lockstat PRIVATE ${CMAKE_BINARY_DIR}/generated)
target_link_libraries(program-mmsim-native-lockstat PRIVATE mmsim_lockstat_mm
  PkgConfig::ARCHIVE PkgConfig::JANSSON PkgConfig::INIH)
