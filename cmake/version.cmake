# Write OUT with the version and the commit, if that changes it. Run at each build:
# cmake -DSOURCE=dir -DVERSION=x.y.z -DOUT=file -P version.cmake
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
set(text "${VERSION}")
if(NOT failed)
  string(APPEND text "+${commit}")
  execute_process(COMMAND git -C ${SOURCE} diff --quiet HEAD -- # compares contents, not time stamps
    RESULT_VARIABLE dirty ERROR_QUIET OUTPUT_QUIET)
  if(dirty)
    string(APPEND text ".dirty")
  endif()
endif()
set(content "#define MMSIM_VERSION_TEXT \"${text}\"\n")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT "${old}" STREQUAL "${content}")
  file(WRITE ${OUT} "${content}")
endif()
