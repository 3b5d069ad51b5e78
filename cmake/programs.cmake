# bin/mmsim-native (every command, on the native engine), and the small programs that exec it or
# mmsim-virtual (cmake/virtual.cmake): bin/mmsim, and one per workload.
set(MMSIM_WORKLOAD_PROGRAMS ebizzy pft page_fault1 page_fault2 page_fault3 mmap1 multi_fault gc_heap)

add_custom_target(mmsim_version
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
    -DOUT=${CMAKE_BINARY_DIR}/generated/version.h -P ${CMAKE_SOURCE_DIR}/cmake/version.cmake
  BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/version.h
  COMMENT "")
add_executable(program-mmsim-native sim/cli/main/native.c)
set_target_properties(program-mmsim-native PROPERTIES OUTPUT_NAME mmsim-native)
add_dependencies(program-mmsim-native mmsim_version)
target_include_directories(program-mmsim-native PRIVATE ${CMAKE_BINARY_DIR}/generated)
target_link_libraries(program-mmsim-native PRIVATE mmsim_cli)

foreach(program mmsim ${MMSIM_WORKLOAD_PROGRAMS})
  add_executable(program-${program} sim/cli/main/front.c)
  set_target_properties(program-${program} PROPERTIES OUTPUT_NAME ${program})
  target_compile_definitions(program-${program} PRIVATE _GNU_SOURCE MMSIM_PROGRAM="${program}")
  target_include_directories(program-${program} PRIVATE ${CMAKE_SOURCE_DIR})
  add_dependencies(program-${program} program-mmsim-native)
  list(APPEND MMSIM_PROGRAM_TARGETS program-${program})
endforeach()
list(APPEND MMSIM_PROGRAM_TARGETS program-mmsim-native)
if(TARGET program-mmsim-native-lockstat)
  list(APPEND MMSIM_PROGRAM_TARGETS program-mmsim-native-lockstat)
endif()
if(TARGET program-mmsim-virtual)
  list(APPEND MMSIM_PROGRAM_TARGETS program-mmsim-virtual)
endif()
install(TARGETS ${MMSIM_PROGRAM_TARGETS} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/mmsim.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES sim/cli/completion.bash RENAME mmsim
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

# Shell tests of the command line: tests/cli/NAME.sh BUILD_DIR/bin; virtual_*: of the virtual engine
if(BUILD_TESTING)
  file(GLOB cli_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/cli/*.sh)
  foreach(script ${cli_tests})
    get_filename_component(name ${script} NAME_WE)
    if(name MATCHES "^virtual_" AND NOT TARGET program-mmsim-virtual)
      continue()
    endif()
    add_test(NAME cli.${name} COMMAND sh ${script} ${CMAKE_BINARY_DIR}/bin)
  endforeach()
  if(TARGET program-mmsim-virtual)
    add_test(NAME cli.virtual_product.all
      COMMAND sh ${CMAKE_SOURCE_DIR}/tests/cli/virtual_product.sh ${CMAKE_BINARY_DIR}/bin)
    set_tests_properties(cli.virtual_product.all PROPERTIES ENVIRONMENT MMSIM_PRODUCT=all LABELS long TIMEOUT 1200)
  endif()
endif()
find_program(MMSIM_BASH bash)
if(BUILD_TESTING AND MMSIM_BASH)
  add_test(NAME cli.options_agree
    COMMAND ${MMSIM_BASH} ${CMAKE_SOURCE_DIR}/tests/cli/options_agree.bash ${CMAKE_BINARY_DIR}/bin)
endif()
add_custom_target(programs DEPENDS ${MMSIM_PROGRAM_TARGETS})
