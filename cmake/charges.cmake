# The checker of charges (DESIGN.md section 5; docs/VIRTUAL.md): the virtual engine once more as
# bin/mmsim-virtual-checked, with mm, arch and what else touches simulated objects instrumented as for
# ThreadSanitizer. sim/virtual/charge_check.c is the run-time; libtsan is not linked.
option(MMSIM_CHECK_CHARGES "Also build bin/mmsim-virtual-checked, which fails on plain accesses that are not charged" OFF)
if(NOT MMSIM_CHECK_CHARGES OR MMSIM_SANITIZE)
  return()
endif()

# The lock order's books tell where a critical section ends. -O1: the same accesses in every kind of build.
add_library(mmsim_flags_checked INTERFACE)
target_link_libraries(mmsim_flags_checked INTERFACE mmsim_flags_virtual)
target_compile_definitions(mmsim_flags_checked INTERFACE MMSIM_CHECK_CHARGES MMSIM_DEBUG_LOCKS)
target_compile_options(mmsim_flags_checked INTERFACE -O1 -g1)

set(mmsim_instrument -fsanitize=thread)
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  list(APPEND mmsim_instrument "SHELL:-mllvm -tsan-distinguish-volatile=1"
    "SHELL:-mllvm -tsan-instrument-func-entry-exit=0" "SHELL:-mllvm -tsan-instrument-atomics=0")
else()
  list(APPEND mmsim_instrument "SHELL:--param tsan-distinguish-volatile=1"
    "SHELL:--param tsan-instrument-func-entry-exit=0")
endif()
# gcc leaves these calls to libtsan's interceptors.
foreach(function memset memcpy memmove)
  list(APPEND mmsim_instrument -D${function}=__tsan_${function})
endforeach()

function(mmsim_checked_objects name)
  cmake_parse_arguments(L "" "" "DIRS;FILES;NOT;OPTIONS" ${ARGN})
  set(sources)
  foreach(dir ${L_DIRS})
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.c)
    list(APPEND sources ${found})
  endforeach()
  foreach(file ${L_FILES})
    list(APPEND sources ${CMAKE_SOURCE_DIR}/${file})
  endforeach()
  foreach(file ${L_NOT})
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/${file})
  endforeach()
  add_library(${name} OBJECT ${sources})
  target_link_libraries(${name} PUBLIC mmsim_flags_checked)
  target_compile_options(${name} PRIVATE ${L_OPTIONS})
endfunction()

set(mmsim_instrumented_sim sim/objcache.c sim/percpu.c)
get_target_property(arch_sources mmsim_virtual_arch SOURCES)
get_target_property(mm_sources mmsim_virtual_mm SOURCES)
mmsim_checked_objects(mmsim_checked_sim DIRS sim sim/virtual FILES sim/native/pmu.c
  NOT ${mmsim_instrumented_sim})
target_sources(mmsim_checked_sim PRIVATE ${CMAKE_BINARY_DIR}/generated/machine_presets.c)
mmsim_checked_objects(mmsim_checked_mm DIRS sim/locks FILES ${mmsim_instrumented_sim}
  OPTIONS ${mmsim_instrument})
target_sources(mmsim_checked_mm PRIVATE ${arch_sources} ${mm_sources})

add_library(mmsim_checked STATIC $<TARGET_OBJECTS:mmsim_checked_sim> $<TARGET_OBJECTS:mmsim_checked_mm>)
target_link_libraries(mmsim_checked PUBLIC mmsim_flags_checked
  PkgConfig::INIH ${PFM_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS} m)

# Workloads and the command line hold nothing simulated: their objects are the virtual engine's.
set(mmsim_checked_beside mmsim_virtual_cli mmsim_virtual_workloads mmsim_virtual_trace)
add_executable(program-mmsim-virtual-checked sim/cli/main/virtual.c)
set_target_properties(program-mmsim-virtual-checked PROPERTIES OUTPUT_NAME mmsim-virtual-checked)
target_include_directories(program-mmsim-virtual-checked PRIVATE ${CMAKE_BINARY_DIR}/generated)
foreach(library ${mmsim_checked_beside})
  target_link_libraries(program-mmsim-virtual-checked PRIVATE $<TARGET_FILE:${library}>)
endforeach()
target_link_libraries(program-mmsim-virtual-checked PRIVATE mmsim_checked PkgConfig::ARCHIVE
  PkgConfig::JANSSON PkgConfig::INIH)
add_dependencies(program-mmsim-virtual-checked mmsim_version ${mmsim_checked_beside})

if(NOT BUILD_TESTING)
  return()
endif()
add_executable(checked.conformance ${conformance_sources})
target_link_libraries(checked.conformance PRIVATE mmsim_checked ${CMOCKA_LIBRARY})
foreach(scheme ${schemes})
  if(scheme STREQUAL "lock_broken")
    continue()
  endif()
  add_test(NAME charges.conformance.${scheme} COMMAND checked.conformance ${scheme})
  set_tests_properties(charges.conformance.${scheme} PROPERTIES LABELS charges TIMEOUT 600)
endforeach()

# Instrumented itself: it makes the accesses that must be found.
add_executable(checked.unit.sim.virtual.charge_check tests/unit/sim/virtual/test_charge_check.c)
target_compile_options(checked.unit.sim.virtual.charge_check PRIVATE ${mmsim_instrument})
target_link_libraries(checked.unit.sim.virtual.charge_check PRIVATE mmsim_checked ${CMOCKA_LIBRARY})
add_test(NAME charges.unit.sim.virtual.charge_check COMMAND checked.unit.sim.virtual.charge_check)
set_tests_properties(charges.unit.sim.virtual.charge_check PROPERTIES LABELS charges)

add_test(NAME charges.workloads COMMAND sh ${CMAKE_SOURCE_DIR}/tests/charges/workloads.sh
  $<TARGET_FILE:program-mmsim-virtual-checked> ${CMAKE_SOURCE_DIR}/tests/data/traces)
set_tests_properties(charges.workloads PROPERTIES LABELS charges)
