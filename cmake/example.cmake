# tests/example: the scheme that docs/adding-a-scheme.md adds, held to what every scheme must guarantee.

if(TARGET conformance)
  get_target_property(conformance_sources conformance SOURCES)
  list(TRANSFORM conformance_sources PREPEND ${CMAKE_SOURCE_DIR}/ REGEX "^[^/]")
  add_executable(example_conformance ${conformance_sources} tests/example/mmap_sem.c tests/example/all.c)
  target_link_libraries(example_conformance PRIVATE mmsim_mm ${CMOCKA_LIBRARY})
  add_test(NAME example.conformance.mmap_sem COMMAND example_conformance mmap_sem)
  # The page shows the file as it is.
  add_test(NAME example.page COMMAND ${CMAKE_COMMAND} -DPAGE=${CMAKE_SOURCE_DIR}/docs/adding-a-scheme.md
                                     -DCODE=${CMAKE_SOURCE_DIR}/tests/example/mmap_sem.c
                                     -P ${CMAKE_SOURCE_DIR}/tests/example/same_code.cmake)
  # Every scheme has its page.
  foreach(scheme ${schemes})
    add_test(NAME docs.scheme.${scheme} COMMAND ${CMAKE_COMMAND} -E cat
                                                ${CMAKE_SOURCE_DIR}/docs/schemes/${scheme}.md)
  endforeach()
endif()
