# The virtual engine: sim (with sim/virtual in the place of sim/native), arch, mm, workloads and the
# command line once more, compiled with -DMMSIM_ENGINE_VIRTUAL, into libmmsim-virtual.a (sim + arch +
# mm) and bin/mmsim-virtual; and the unit tests of what both engines share, once more on this one
# (virtual.unit.*). It runs on one host thread: there is nothing for TSan to see.
if(MMSIM_SANITIZE STREQUAL "thread")
  return()
endif()

add_library(mmsim_flags_virtual INTERFACE)
foreach(property COMPILE_OPTIONS INCLUDE_DIRECTORIES LINK_OPTIONS)
  get_target_property(value mmsim_flags INTERFACE_${property})
  if(value)
    set_property(TARGET mmsim_flags_virtual PROPERTY INTERFACE_${property} ${value})
  endif()
endforeach()
get_target_property(definitions mmsim_flags INTERFACE_COMPILE_DEFINITIONS)
list(TRANSFORM definitions REPLACE "^MMSIM_ENGINE_NATIVE$" "MMSIM_ENGINE_VIRTUAL")
set_property(TARGET mmsim_flags_virtual PROPERTY INTERFACE_COMPILE_DEFINITIONS ${definitions})

# As mmsim_layer(), for this engine.
function(mmsim_virtual_layer name)
  cmake_parse_arguments(L "" "" "DIRS;FILES;LINK" ${ARGN})
  set(sources ${L_FILES})
  foreach(dir ${L_DIRS})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.c)
    list(APPEND sources ${found})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC mmsim_flags_virtual ${L_LINK})
endfunction()

# pmu.c and inih: of the host and of machine files, and the same for all engines.
mmsim_virtual_layer(mmsim_virtual_sim DIRS sim sim/virtual sim/locks
  FILES ${CMAKE_SOURCE_DIR}/sim/native/pmu.c
  LINK PkgConfig::INIH ${PFM_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS} m)
target_sources(mmsim_virtual_sim PRIVATE ${CMAKE_BINARY_DIR}/generated/machine_presets.c)
mmsim_virtual_layer(mmsim_virtual_arch DIRS arch arch/x86_64 arch/arm64 arch/ppc64 LINK mmsim_virtual_sim)
mmsim_virtual_layer(mmsim_virtual_mm DIRS mm mm/locking mm/vma LINK mmsim_virtual_arch mmsim_virtual_sim)
target_link_libraries(mmsim_virtual_arch PUBLIC mmsim_virtual_mm)
mmsim_virtual_layer(mmsim_virtual_trace DIRS sim/trace LINK PkgConfig::ARCHIVE)
mmsim_virtual_layer(mmsim_virtual_workloads DIRS workloads LINK mmsim_virtual_mm mmsim_virtual_trace)
mmsim_virtual_layer(mmsim_virtual_cli DIRS sim/cli
  LINK mmsim_virtual_workloads PkgConfig::ARCHIVE PkgConfig::JANSSON PkgConfig::INIH)

add_executable(program-mmsim-virtual sim/cli/main/virtual.c)
set_target_properties(program-mmsim-virtual PROPERTIES OUTPUT_NAME mmsim-virtual)
target_include_directories(program-mmsim-virtual PRIVATE ${CMAKE_BINARY_DIR}/generated)
target_link_libraries(program-mmsim-virtual PRIVATE mmsim_virtual_cli)
add_dependencies(program-mmsim-virtual mmsim_version)

add_library(mmsim-virtual STATIC $<TARGET_OBJECTS:mmsim_virtual_sim>
  $<TARGET_OBJECTS:mmsim_virtual_arch> $<TARGET_OBJECTS:mmsim_virtual_mm>)

if(BUILD_TESTING)
  add_library(mmsim_virtual_test STATIC tests/model/ref_mm.c tests/oracle/cases.c tests/oracle/layout.c
    tests/oracle/live.c tests/oracle/model.c tests/oracle/ops.c tests/oracle/script.c)
  target_compile_definitions(mmsim_virtual_test PRIVATE ORACLE_CHILD_PATH="$<TARGET_FILE:oracle_child>")
  target_link_libraries(mmsim_virtual_test PUBLIC mmsim_virtual_workloads PkgConfig::JANSSON ${CMOCKA_LIBRARY})
  add_dependencies(mmsim_virtual_test oracle_child)
  foreach(src ${unit_tests})
    cmake_path(RELATIVE_PATH src BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/tests OUTPUT_VARIABLE rel)
    if(NOT rel MATCHES "^unit/(arch|mm|sim/virtual|sim/locks|sim/test_|workloads/test_archs)")
      continue() # of the native engine, or of what does not depend on the engine
    endif()
    string(REGEX REPLACE "\\.c$" "" rel ${rel})
    string(REPLACE "/" "." test ${rel})
    string(REPLACE ".test_" "." test ${test})
    add_executable(virtual.${test} ${src})
    target_link_libraries(virtual.${test} PRIVATE mmsim_virtual_test)
    add_test(NAME virtual.${test} COMMAND virtual.${test} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  endforeach()
  add_test(NAME virtual.fit.ivybridge40
    COMMAND ${CMAKE_SOURCE_DIR}/scripts/fit.sh --bin ${CMAKE_BINARY_DIR}/bin/mmsim --check ivybridge40)
  add_test(NAME virtual.fit.power8-80
    COMMAND ${CMAKE_SOURCE_DIR}/scripts/fit.sh --bin ${CMAKE_BINARY_DIR}/bin/mmsim --check power8-80)
  set_tests_properties(virtual.fit.ivybridge40 virtual.fit.power8-80 PROPERTIES LABELS calibrate)
  # A few seeds of short parts by default; MMSIM_CONFORMANCE_SEEDS=N ctest -L seeds: many.
  add_executable(virtual.conformance ${conformance_sources})
  target_link_libraries(virtual.conformance PRIVATE mmsim_virtual_mm ${CMOCKA_LIBRARY})
  foreach(scheme ${schemes})
    add_test(NAME virtual.scheme.conformance.${scheme} COMMAND virtual.conformance ${scheme})
    set_tests_properties(virtual.scheme.conformance.${scheme} PROPERTIES LABELS seeds TIMEOUT 7200)
  endforeach()
endif()
file(GLOB virtual_benches CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/bench/bench_*_virtual.c
  ${CMAKE_SOURCE_DIR}/tests/bench/bench_virtual.c)
foreach(src ${virtual_benches})
  get_filename_component(bench ${src} NAME_WE)
  add_executable(${bench} ${src})
  target_link_libraries(${bench} PRIVATE mmsim_virtual_workloads)
endforeach()
