# Tests of mm/ from above once more with the VMA tree that is not the default: same programs,
# MMSIM_TREE=rb (tests/tree_choice.h).
function(mmsim_test_with_tree tree test)
  if(TARGET ${test})
    add_test(NAME ${tree}.${test} COMMAND ${test} ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${tree}.${test} PROPERTIES ENVIRONMENT MMSIM_TREE=${tree})
  endif()
endfunction()

if(BUILD_TESTING)
  foreach(test fault fault_file populate reference_model syscalls vma_cases vma_cases_move
      locking.schemes locking.vma_refcnt)
    mmsim_test_with_tree(rb unit.mm.${test})
  endforeach()
  foreach(test locking.schemes locking.vma_refcnt)
    mmsim_test_with_tree(rb virtual.unit.mm.${test})
  endforeach()
  foreach(test locking.vma_rwsem locking.vma_atomic)
    mmsim_test_with_tree(rb unit.mm.${test})
  endforeach()
  # The scheme whose faults walk the tree without a lock.
  add_test(NAME rb.scheme.conformance.vma_refcnt COMMAND conformance vma_refcnt)
  set_tests_properties(rb.scheme.conformance.vma_refcnt PROPERTIES ENVIRONMENT MMSIM_TREE=rb)
  if(TARGET virtual.conformance)
    add_test(NAME rb.virtual.scheme.conformance.vma_refcnt COMMAND virtual.conformance vma_refcnt)
    set_tests_properties(rb.virtual.scheme.conformance.vma_refcnt PROPERTIES
      ENVIRONMENT MMSIM_TREE=rb LABELS long TIMEOUT 600)
  endif()
endif()
