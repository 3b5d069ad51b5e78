# ppc64's walks and hash tables against qemu's processors. The stub is assembled where there is an
# assembler for it.
find_program(PPC64_AS powerpc64-linux-gnu-as)
find_program(PPC64_OBJCOPY powerpc64-linux-gnu-objcopy)
if(NOT PPC64_AS OR NOT PPC64_OBJCOPY)
  message(STATUS "oracle.ppc64_* are left out: no powerpc64-linux-gnu-as (scripts/deps.sh installs it)")
  return()
endif()
set(ppc64_stub ${CMAKE_CURRENT_BINARY_DIR}/ppc64_stub)
add_custom_command(OUTPUT ${ppc64_stub}.bin
  COMMAND ${PPC64_AS} -mregnames -o ${ppc64_stub}.o ${CMAKE_CURRENT_LIST_DIR}/ppc64_stub.S
  COMMAND ${PPC64_OBJCOPY} -O binary -j .text ${ppc64_stub}.o ${ppc64_stub}.bin
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/ppc64_stub.S)
add_custom_target(ppc64_stub DEPENDS ${ppc64_stub}.bin)
foreach(mmu radix hash)
  add_executable(ppc64_${mmu}_oracle ppc64_${mmu}.c ppc64_qemu.c)
  target_link_libraries(ppc64_${mmu}_oracle PRIVATE mmsim_mm)
  target_compile_definitions(ppc64_${mmu}_oracle PRIVATE PPC64_STUB_PATH="${ppc64_stub}.bin")
  add_dependencies(ppc64_${mmu}_oracle ppc64_stub)
  add_test(NAME oracle.ppc64_${mmu} COMMAND ppc64_${mmu}_oracle)
  set_tests_properties(oracle.ppc64_${mmu} PROPERTIES SKIP_RETURN_CODE 77 LABELS oracle TIMEOUT 300)
endforeach()
