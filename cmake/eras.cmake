# Conformance in other models than the newest kernel's, in virtual time: what eras and parameters change in the
# locking itself (tests/scheme/conformance.c, "Models").
function(mmsim_conformance_model name environment)
  foreach(scheme ${ARGN})
    set(test virtual.scheme.conformance.${scheme}.${name})
    add_test(NAME ${test} COMMAND virtual.conformance ${scheme})
    set_tests_properties(${test} PROPERTIES ENVIRONMENT ${environment} LABELS "seeds;long" TIMEOUT 7200)
  endforeach()
endfunction()

if(TARGET virtual.conformance)
  # No hand-off of the rwsem, no downgrade by munmap, mm_lock_seq a plain number.
  mmsim_conformance_model(4.12 MMSIM_KERNEL=4.12 mmap_lock spf spf_seqcount vma_rwsem)
  mmsim_conformance_model(6.4 MMSIM_KERNEL=6.4 vma_rwsem vma_atomic vma_refcnt)
  mmsim_conformance_model(6.7 MMSIM_PARAM_coverage=6.7 vma_refcnt)
  mmsim_conformance_model(embedded MMSIM_PARAM_vma_lock_placement=embedded vma_rwsem vma_atomic)
  mmsim_conformance_model(thp MMSIM_PARAM_thp=always range spf spf_seqcount vma_refcnt)
endif()
