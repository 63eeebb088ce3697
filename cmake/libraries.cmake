# One static library a floor. All packages come from Debian 12.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4>=1.9.4) # older ones have CVE-2021-3520
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3)
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing>=2.3)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack>=4)
pkg_check_modules(YAJL REQUIRED IMPORTED_TARGET yajl)
pkg_check_modules(GMP REQUIRED IMPORTED_TARGET gmp)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
find_library(ROARING_LIBRARY roaring REQUIRED)
find_path(ROARING_INCLUDE roaring/roaring.h REQUIRED)

# Statically where possible: Debian's shared liburing lacks the calls that restrict a ring.
find_library(URING_LIBRARY NAMES liburing.a uring REQUIRED)
add_library(venturi_uring INTERFACE)
target_link_libraries(venturi_uring INTERFACE ${URING_LIBRARY})
target_include_directories(venturi_uring SYSTEM INTERFACE ${URING_INCLUDE_DIRS})
add_library(venturi_roaring INTERFACE)
target_link_libraries(venturi_roaring INTERFACE ${ROARING_LIBRARY})
target_include_directories(venturi_roaring SYSTEM INTERFACE ${ROARING_INCLUDE})

# venturi_library(name FOLDER folder [SOURCES ...] [LIBRARIES ...])
# The include paths are include/, the root for facades ("storage/storage.h"), and, for the sources
# of this folder only, the folder itself. -iquote keeps our names from hiding a system header's.
function(venturi_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;LIBRARIES" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    target_compile_options(${name} PRIVATE "SHELL:-iquote ${CMAKE_SOURCE_DIR}/${ARG_FOLDER}")
    if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
      target_compile_options(${name} PRIVATE -Wmissing-variable-declarations)
    endif()
  else()
    add_library(${name} INTERFACE) # the folder is still empty
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${CMAKE_SOURCE_DIR}/include)
  target_compile_options(${name} ${scope} "SHELL:-iquote ${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} ${scope} ${ARG_LIBRARIES})
endfunction()

file(GLOB_RECURSE base_sources CONFIGURE_DEPENDS storage/base/*.c)
file(GLOB_RECURSE storage_sources CONFIGURE_DEPENDS storage/*.c)
list(FILTER storage_sources EXCLUDE REGEX "/storage/base/")
file(GLOB_RECURSE engine_sources CONFIGURE_DEPENDS engine/*.c)
file(GLOB_RECURSE net_sources CONFIGURE_DEPENDS net/*.c)
list(FILTER net_sources EXCLUDE REGEX "/net/client/")
file(GLOB_RECURSE client_sources CONFIGURE_DEPENDS net/client/*.c)

venturi_library(vt_base FOLDER storage/base SOURCES ${base_sources}
                LIBRARIES Threads::Threads PkgConfig::XXHASH)
venturi_library(vt_storage FOLDER storage SOURCES ${storage_sources}
                LIBRARIES vt_base venturi_uring PkgConfig::LZ4 PkgConfig::CRYPTO)
venturi_library(vt_engine FOLDER engine SOURCES ${engine_sources}
                LIBRARIES vt_storage PkgConfig::YAJL PkgConfig::GMP PkgConfig::MSGPACK
                          venturi_roaring)
venturi_library(vt_net FOLDER net SOURCES ${net_sources}
                LIBRARIES vt_engine venturi_uring PkgConfig::MICROHTTPD)
venturi_library(vt_client FOLDER net/client SOURCES ${client_sources}
                LIBRARIES vt_base PkgConfig::MSGPACK)
